"""What a scenario file may look like, and what is said when it is wrong or does not hold."""
import json
import os
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import jsonschema
import yaml

from scenarios import FOLDER, files, scenario

STEP = "scenario: x\nsteps:\n  - "
# Text; line and words of the error; does the schema see it too?
WRONG = [
    ("", "1: the file is empty", True),
    ("scenario: [", ":2: did not find expected node content", None),
    ("steps: []", "1: a scenario needs the key 'scenario'", True),
    ("scenario: x\nsteps: []", "2: steps: must be a list of 1 to 10000", True),
    ("scenario: x\nsteps: 1", "2: steps: must be a list", True),
    ("scenario: x\nstepz: []", "2: a scenario has no key 'stepz'; did you mean 'steps'?", True),
    ("scenario: x\nscenario: y", "2: 'scenario' is given twice", None),
    ("scenario: x\nseed: -1\nsteps: [{at: +1s}]", "2: seed: must be a whole number of 0", True),
    ("scenario: x\nstart: today\nsteps: [{at: +1s}]", "2: start: must be a time such as", True),
    (STEP + "&a [*a]", "3: aliases are not supported", None),
    (STEP + "!!str x", "3: tags such as !!str are not supported", None),
    (STEP + "{ [a]: 1 }", "3: the keys of a mapping must be texts", None),
    (STEP + "[" * 40 + "]" * 40, "3: more than 32 levels deep", None),
    (STEP + "then", "3: a step must have one of the keys given, when, at, work, fault, then", True),
    (STEP + "{ whem: a.b }", "3: a step must have one of the keys", True),
    (STEP + "{ when: order }", "3: when: must be service.function", True),
    (STEP + "{ when: orders.x }", "3: when: there is no service 'orders'", False),
    (STEP + "{ when: crm.x }", "3: when: there is no service 'crm'", False),
    (STEP + "{ when: order.create_order }", "did you mean 'create_orders'?", False),
    (STEP + "{ when: order.mark_cleared }", "order has no function 'mark_cleared'", False),
    (STEP + "{ when: order.cancel_order, as: x }", "as: order.cancel_order creates nothing", False),
    (STEP + "{ when: cart.create_carts, params: [{}, {}], as: [a] }",
     "as: must be a list with a name for each of them", False),
    (STEP + "{ when: cart.create_carts, params: {}, as: a b }", "a name must be 1 to 64", True),
    (STEP + "{ when: order.cancel_order, error: NOTFOUND }", "did you mean 'NOT_FOUND'?", True),
    (STEP + "{ when: order.cancel_order, error: { message: x } }", "needs the key 'code'", True),
    (STEP + "{ when: order.cancel_order, result: 1, wait: nothing }",
     "result: nobody looks at the answer", False),
    (STEP + "{ when: order.cancel_order, wait: never }", "wait: there is no 'never'", True),
    (STEP + "{ at: noon }", "3: at: must be a time such as 2026-01-01T00:00:00Z or +90s", True),
    (STEP + "{ at: 10m }", "3: at: must be a time such as", True),
    (STEP + "{ at: 2024-02-31 }", "3: at: must be a time such as", False),
    (STEP + "{ at: +99999999999d }", "3: at: must be a time such as", False),
    (STEP + "{ work: 0 }", "3: work: must be a whole number of 1 to 1000000", True),
    (STEP + "{ fault: burn }", "3: fault: there is no 'burn'", True),
    (STEP + "{ fault: stop }", "3: the fault stop needs the key 'service'", True),
    (STEP + "{ fault: redis_restart, service: order }", "redis_restart has no key 'service'", True),
    (STEP + "{ fault: stop, service: redis }", "there is no service 'redis' of the domain", True),
    (STEP + "{ given: [] }", "3: given: must be a list of 1 to 10000 events", True),
    (STEP + "{ given: [{ event: Boom, as: x }] }", "'Boom' does not tell its topic", False),
    (STEP + "{ given: [{ event: OrderPlaced }] }", "an event needs `as` or `of`, one of them",
     False),
    (STEP + "{ given: [{ event: MailSent, as: x }] }", "a mail has neither `as` nor `of`", False),
    (STEP + "{ then: {} }", "3: then: expected some of entities, events, queries, mails, parked",
     True),
    (STEP + "{ then: { orders: 1 } }", "3: then has no key 'orders'", True),
    (STEP + "{ then: { entities: { $order.a: 7 } } }", "must be a mapping of its fields, or null",
     True),
    (STEP + "{ then: { events: [{ of: order }] } }",
     "expected one of the keys are, include, sequence, none, count", True),
    (STEP + "{ then: { events: [{ of: orders, count: 1 }] } }",
     "of: must be an entity such as $order.first or a topic", True),
    (STEP + "{ then: { events: [{ since: x, count: 1 }] } }", "since: no earlier step is named 'x'",
     False),
    (STEP + "{ then: { events: [{ are: [{ colour: red }] }] } }",
     "an expected event has no key 'colour'", True),
    (STEP + "{ then: { queries: [{ query: all }] } }", "query: there is no 'all'", True),
    (STEP + "{ then: { queries: [{ query: list, count: 1 }] } }", "list needs the key 'of'", True),
    (STEP + "{ then: { queries: [{ query: get, of: $order.a }] } }", "get needs the key 'is'",
     True),
    (STEP + "{ then: { queries: [{ query: unbilled, where: { a: 1 }, count: 1 }] } }",
     "where: only of the query list", True),
    (STEP + "{ then: { mails: many } }", "mails: must be a whole number", True),
    (STEP + "{ then: { mails: { a@b: x } } }", "a@b: must be a list of texts", True),
    (STEP + "{ then: { parked: -1 } }", "parked: must be a whole number", True),
]
ALICE = ("scenario: Alice\nsteps:\n  - when: customer.create_customers\n"
         "    params: { name: Alice, email: alice@example.com }\n    as: alice\n")
# What follows Alice; what is said of it.
BROKEN = [
    ("  - then: { entities: { $customer.alice: { name: Bob, email: ~@ } } }", """\
FILE:6: step 2: $customer.alice
        expected  | actual
      ! name: Bob | name: Alice
        email: ~@ | email: alice@example.com
"""),
    ("  - then: { entities: { $customer.alice: null } }", """\
FILE:6: step 2: $customer.alice
        expected | actual
      ! null     | { entity_id: $customer.alice, name: Alice, email: alice@example.com }
"""),
    ("  - step: look\n    then:\n      events:\n        - of: $customer.alice\n"
     "          are: [CustomerUpdated, CustomerCreated, CustomerDeleted]", """\
FILE:10: step 2 (look): events of $customer.alice: are
        expected        | actual
      < CustomerUpdated
        CustomerCreated | CustomerCreated $customer.alice
      < CustomerDeleted
"""),
    ("  - then: { events: [{ sequence: [MailSent, CustomerCreated] }] }", """\
FILE:6: step 2: events: sequence
        expected        | actual
                        | CustomerCreated $customer.alice
        MailSent        | MailSent
      < CustomerCreated
"""),
    ("  - then: { events: [{ none: [MailSent], count: 3 }] }", """\
FILE:6: step 2: events: none
        expected    | actual
      ! no MailSent | MailSent
  FILE:6: step 2: events: count
        expected | actual
      ! count: 3 | count: 2
                 | CustomerCreated $customer.alice
                 | MailSent
"""),
    ("  - then: { queries: [{ query: list, of: customer, include: [$id.bob] }] }", """\
FILE:6: step 2: query list: include
        expected | actual
      < $id.bob
                 | $customer.alice
"""),
    ("  - then: { mails: { alice@example.com: [Welcome, Good bye] } }", """\
FILE:6: step 2: mails to alice@example.com
        expected  | actual
        ~Welcome  | Dear Alice!\\n\\nWelcome to OrderShop.\\n\\nCheers
      < ~Good bye
"""),
    ("  - { when: customer.delete_customer, params: { entity_id: $id.bob } }", """\
FILE:6: step 2: customer.delete_customer was refused
      NOT_FOUND: there is no customer $id.bob
"""),
    ("  - { when: customer.delete_customer, params: { entity_id: $id.bob }, error: ABORTED }", """\
FILE:6: step 2: another error than expected
        expected | actual
      ! ABORTED  | NOT_FOUND
"""),
    ("  - { when: customer.delete_customer, params: { entity_id: $customer.alice }, error: ABORTED }",
     """\
FILE:6: step 2: customer.delete_customer should have been refused, with ABORTED
      it answered true
"""),
    ("  - { when: customer.delete_customer, params: { entity_id: $customer.alice }, result: 1 }",
     """\
FILE:6: step 2: another result than expected
        expected | actual
      ! 1        | true
"""),
    ("  - { when: customer.delete_customer, params: { entity_id: $customer.bob } }",
     "FILE:6: step 2: $customer.bob: nothing has that name (yet)\n"),
    ("  - { when: customer.delete_customer, params: { entity_id: $client.bob } }",
     "FILE:6: step 2: $client.bob: there is no kind 'client'\n"),
    ("  - { when: mail.send, params: { to: $customer.alice.age, msg: x } }",
     "FILE:6: step 2: $customer.alice.age: it has no such field\n"),
    ("  - { when: mail.send, params: { to: costs 5$, msg: x } }",
     "FILE:6: step 2: '$' is no reference such as $order.first; a $ is written $$\n"),
    ("  - { at: 2025-01-01T00:00:00Z }", "FILE:6: step 2: at: the clock is 31536001 s past that "
     "time already, and never goes back\n"),
    ("  - { at: +2912500d }", "FILE:6: step 2: at: the clock ends with the year 9999\n"),
    ("  - { at: 9999-12-31T23:59:59.5 }\n  - { at: +1s }",
     "FILE:7: step 3: at: the clock ends with the year 9999\n"),
    ("  - then: { mails: { alice@example.com: [" + ", ".join(['"' + "\\x01" * 2000 + '"'] * 100) +
     "] } }", "FILE:6: step 2: alice@example.com: more than 1 MiB\n"),
    ("  - given:\n      - { event: OrderDeleted, of: $id.x }",
     "FILE:7: step 2: the event needs the key 'data'\n"),
    ("  - given:\n      - { event: OrderUpdated, of: $id.x, data: { colour: red } }", "colour"),
    ("  - given:\n      - { event: InventoryCreated, as: x, data: { product_id: $id.x, amount: -1 }}",
     "invariant "),
]


def write(folder, text, name="x.yaml"):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


class Format(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = self.temporary.name
        with open(os.path.join(FOLDER, "scenario.schema.json")) as f:
            schema = json.load(f)
        jsonschema.Draft202012Validator.check_schema(schema)
        self.schema = jsonschema.Draft202012Validator(schema)

    def tearDown(self):
        self.temporary.cleanup()

    def load(self, path):
        """As the schema sees it: a time is a text."""
        class Loader(yaml.SafeLoader):
            pass
        Loader.yaml_implicit_resolvers = {
            first: [(tag, regexp) for tag, regexp in rows if not tag.endswith(":timestamp")]
            for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()}
        with open(path) as f:
            return yaml.load(f, Loader)

    def test_every_file_fits_the_schema(self):
        for path in files():
            found = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
                     for e in self.schema.iter_errors(self.load(path))]
            self.assertEqual(found, [], path)

    def test_what_is_wrong_is_named(self):
        for text, words, by_schema in WRONG:
            path = write(self.folder, text)
            told = scenario(path, expect=2)
            self.assertTrue(told.startswith(f"ordershop scenario: {path}:"), told)
            self.assertIn(words, told, text)
            if by_schema is not None:
                self.assertEqual(self.schema.is_valid(self.load(path)), not by_schema, text)

    def test_files_that_are_none(self):
        self.assertIn("No such file", scenario(os.path.join(self.folder, "none.yaml"), expect=2))
        self.assertIn("no *.yaml in it", scenario(self.folder, expect=2))
        self.assertIn("give files", scenario(expect=2))
        self.assertIn("4 MiB", scenario(write(self.folder, "#" * (4 << 20) + "\n"), expect=2))
        self.assertIn(":1: ", scenario(write(self.folder, "scenario: \"\\0\""), expect=2))
        self.assertIn("must begin with http://", scenario("x", "--rest", "ftp://x", expect=2))

    def test_what_does_not_hold_is_shown(self):
        for text, told in BROKEN:
            path = write(self.folder, ALICE + text + "\n")
            output = scenario(path, expect=1).replace(path, "FILE")
            self.assertIn(told, output, text)
            self.assertIn("1 scenario: 0 ok, 1 failed, 0 skipped", output)

    def test_junit_tells_it_too(self):
        path = write(self.folder, ALICE.replace("Alice\n", "\"<Alice> & \\x01\"\n", 1) + BROKEN[0][0])
        junit = os.path.join(self.folder, "junit.xml")
        scenario(path, "--junit", junit, expect=1)
        suite = ElementTree.parse(junit).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("1", "1"))
        self.assertEqual(suite[0].get("name"), "<Alice> & ?")
        self.assertEqual(suite[0][0].get("message"), f"{path}:6: step 2: $customer.alice")
        self.assertIn("! name: Bob | name: Alice", suite[0][0].text)

    def test_no_shop_to_be_found(self):
        path = write(self.folder, ALICE)
        junit = os.path.join(self.folder, "junit.xml")
        told = scenario(path, path, "--live", "--data", self.folder, "--event-store", "127.0.0.1:1",
                        "--junit", junit, expect=1)
        self.assertEqual(told, "")
        suite = ElementTree.parse(junit).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")), ("1", "0", "1"))
        self.assertEqual(suite[0][0].tag, "error")

    def test_a_long_path_leaves_room_for_the_error(self):
        folder = os.path.join(self.folder, "d" * 200, "e" * 100)
        os.makedirs(folder)
        path = write(folder, STEP + "{ work: 0 }")
        self.assertEqual(scenario(path, expect=2), f"ordershop scenario: {path}:3: work: must be a "
                         "whole number of 1 to 1000000\n")
        path = write(folder, ALICE + "  - { when: mail.send, params: { to: $customer.bob } }\n")
        self.assertIn(f"{path}:6: step 2: $customer.bob: nothing has that name", scenario(path, expect=1))

    def test_logs_do_not_overwrite_each_other(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        paths = write(self.folder, ALICE), write(other, ALICE)
        told = scenario(*paths, "--log", self.folder, expect=2)
        self.assertIn("two scenarios would be written to x.jsonl", told)
        scenario(*paths)

    def test_where_nothing_can_be_written_nothing_is_run(self):
        path, missing = write(self.folder, ALICE), os.path.join(self.folder, "none")
        for option, value, said in [
                ("--log", missing, f"--log: cannot write {missing}/x.jsonl: there is no folder {missing}; make it first"),
                ("--log", path, f"there is no folder {path};"),
                ("--junit", os.path.join(missing, "out.xml"), f"--junit: cannot write {missing}/out.xml: there is no folder {missing};"),
                ("--junit", self.folder, f"--junit: {self.folder} is a folder; name a file in it")]:
            told = scenario(path, option, value, expect=2)
            self.assertIn(said, told)
            self.assertNotIn("ok ", told)


if __name__ == "__main__":
    unittest.main(verbosity=2)
