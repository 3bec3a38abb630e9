"""The walk of the original shop's own suite, over REST, on an empty shop."""
import unittest

from shop import Shop, wait_until


class Walk(unittest.TestCase):
    def test_walk(self):
        with Shop() as shop:
            self.walk(shop)

    def walk(self, shop):
        get = lambda path: shop.result("GET", path)
        products = shop.result("POST", "/product", [
            {"name": f"Product {i}", "price": 100 * (i + 1)} for i in range(10)])
        customers = shop.result("POST", "/customer", [
            {"name": f"Customer {i}", "email": f"c{i}@example.com"} for i in range(10)])
        self.assertEqual(len(get("/products")), 10)
        self.assertEqual(len(get("/customers")), 10)
        shop.result("POST", "/inventory", [{"product_id": p, "amount": 100} for p in products])
        self.assertEqual([i["amount"] for i in get("/inventory")
                          if isinstance(i, dict)] or
                         [i["amount"] for i in get("/inventories")], [100] * 10)

        carts = [shop.result("POST", "/cart", {"customer_id": customers[i],
                                               "product_ids": products[:i + 1]})[0]
                 for i in range(10)]
        changed = {"customer_id": customers[1], "product_ids": [products[0]] * 3}
        self.assertTrue(shop.result("PUT", f"/cart/{carts[1]}", changed))
        self.assertEqual(get(f"/cart/{carts[1]}")["product_ids"], [products[0]] * 3)

        orders = [shop.result("POST", "/order", {"cart_id": c, "status": "CREATED"})[0]
                  for c in carts]
        in_stock = lambda: [o for o in get("/orders") if o["status"] == "IN_STOCK"]
        wait_until(lambda: len(in_stock()) == 10, what="10 orders in stock")

        self.assertTrue(shop.result("DELETE", f"/order/{orders[2]}"))
        self.assertEqual(shop.rest("GET", f"/order/{orders[2]}"), (200, {"result": None}))
        stock = lambda: sum(i["amount"] for i in get("/inventories"))
        units = sum(range(1, 11)) - 2 - 3 + 3
        wait_until(lambda: stock() == 1000 - units, what="stock of the deleted order given back")

        total = sum(100 * (i + 1) for i in range(1))
        shop.result("POST", "/billing", {"order_id": orders[0], "amount": total})
        self.assertEqual(len(get("/orders/unbilled")), 8)
        shippings = wait_until(lambda: get("/shippings"), what="a shipping")
        self.assertEqual(len(shippings), 1)
        wait_until(lambda: get(f"/order/{orders[0]}")["status"] == "SHIPPED", what="SHIPPED")

        shipping = shippings[0]
        self.assertTrue(shop.result("PUT", f"/shipping/{shipping['entity_id']}",
                                    {"order_id": orders[0], "delivered": 1600000000}))
        self.assertEqual(len(get("/orders/unshipped")), 8)
        self.assertEqual(len(get("/orders/delivered")), 1)
        wait_until(lambda: get(f"/order/{orders[0]}")["status"] == "DELIVERED", what="DELIVERED")
        wait_until(lambda: len(get("/mails/sent")) >= 22, what="22 mails")
        mails = get("/mails/sent")
        self.assertEqual(len(mails), 22)
        entry_id, fields = mails[0]
        self.assertRegex(entry_id, r"^\d+-\d+$")
        self.assertEqual(fields["event_action"], "mail_sent")

        report = get("/report")
        self.assertEqual({k: len(v) for k, v in report.items()},
                         {"customers": 10, "products": 10, "inventory": 10, "carts": 10,
                          "orders": 9, "billings": 1, "shippings": 1, "mails": 22})
        full = [o for o in get("/report/orders") if o["entity_id"] == orders[0]][0]
        self.assertEqual(full["cart"]["customer"]["entity_id"] if "customer" in full["cart"]
                         else full["customer"]["entity_id"], customers[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
