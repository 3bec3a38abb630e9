#!/usr/bin/env python3
"""Writes the first inputs of the harnesses that run a service (fake.h): seeds.py FOLDER.

An input is a sequence of steps, each a byte and what the step needs, as fake_drive.c reads them."""
import pathlib
import shutil
import struct
import sys

import eventstore_pb2 as es_compat
import eventstore_v1_pb2 as es
import messagequeue_pb2 as mq_compat
import messagequeue_v1_pb2 as mq
import readmodel_v1_pb2 as rm

ID = '11111111-1111-4111-8111-11111111111%d'


def sized(data):
    return struct.pack('>H', len(data)) + data


def resp(value):
    """A value as Redis sends it."""
    if isinstance(value, int):
        return b':%d\r\n' % value
    if isinstance(value, (list, tuple)):
        return b'*%d\r\n' % len(value) + b''.join(map(resp, value))
    if value is None:
        return b'$-1\r\n'
    if isinstance(value, Exception):
        return b'-ERR %s\r\n' % str(value).encode()
    data = value if isinstance(value, bytes) else value.encode()
    return b'$%d\r\n%s\r\n' % (len(data), data)


class Service:
    """Methods are numbered in the order of the contracts."""

    def __init__(self, *contracts):
        services = [list(c.DESCRIPTOR.services_by_name.values())[0] for c in contracts]
        self.methods = [method.name for service in services for method in service.methods]

    def open(self, method, request=None, call=0, deadline=0):
        data = bytes([0, self.methods.index(method), deadline])
        return data if request is None else data + message(request, call)


def message(request, call=0):
    return bytes([1, call]) + sized(request.SerializeToString())


def half_close(call=0):
    return bytes([2, call])


def cancel(call=0):
    return bytes([3, call])


def answer(value, which=0):
    return bytes([4, which]) + sized(resp(value))


def fail(which=0):
    return bytes([5, which])


TIMER = bytes([6])


def drained(call=0):
    return bytes([7, call])


def tail(form, entries=None):
    """form: bit 0 the topic, bit 1 closes, the rest moves the closed time."""
    return bytes([8, form]) + (b'' if entries is None else sized(resp(entries)))


def upstream(*responses, channel=0, stream=0):
    """What the event store (channel 0) or the queue (1) sends to the read model; nothing: the stream breaks."""
    form = 16 * stream + 4 * channel
    if not responses:
        return bytes([8, form + 2])
    return b''.join(bytes([8, form]) + sized(r.SerializeToString()) for r in responses)


def entry(number, entity='a'):
    fields = ['event_id', ID % number, 'event_action', 'entity_created', 'event_data', '{"a": 1}',
              'event_type', 'T', 'entity_id', entity, 'entity_version', str(number), 'metadata', '{}']
    return [f'{number}-0', fields]


def event_store():
    s = Service(es, es_compat)
    event = es.NewEvent(event_id=ID % 1, event_action='entity_created', event_data='{"a": [1, "x"]}',
                        event_type='T', entity_id='a', expect=es.EXPECT_EXACT, expected_version=0)
    append = es.AppendRequest(topic='order', events=[event])
    item = es.AppendItem(tag=7, request=append)
    pong = answer('PONG')
    registered = answer(1)
    topics = [['1-0', ['topic', 'order']], ['2-0', ['topic', 'cart']]]
    entries = [entry(1), entry(2)]
    after = es.Position(entry_id='1-0', topic='order')
    ready = tail(4)
    start = es.ConsumeStart(topic='order', group='g', credits=10, event_types=['T'])
    yield 'append', pong + s.open('Append', append) + registered + answer('1 1-0\n')
    yield 'append_conflict', pong + s.open('Append', append) + registered + answer('!V 0 3\n')
    yield 'append_refused', pong + s.open('Append', append) + registered + answer(OSError('no'))
    yield 'append_lost', fail() + s.open('Append', append) + fail()
    yield 'append_many', (
        pong + s.open('AppendStream')
        + message(es.AppendStreamRequest(items=[item, item, es.AppendItem(tag=1)])) + registered
        + answer('1 1-0\n=1 1-0\n') + half_close() + drained())
    yield 'append_left', (
        pong + s.open('AppendStream') + message(es.AppendStreamRequest(items=[item])) + cancel()
        + registered + answer('1 1-0\n'))
    yield 'read', (pong + s.open('Read', es.ReadRequest(topics=['order'], limit=3)) + answer(entries)
                   + answer(entries) + drained() + answer([]))
    yield 'read_all', (
        pong + s.open('Read', es.ReadRequest(backward=True, after=after)) + answer(topics)
        + answer([entry(2)]) + answer([]) + answer(['1', '5']) + answer(entries) + answer([]))
    yield 'read_entity', (
        pong + s.open('ReadEntity', es.ReadEntityRequest(topic='order', entity_id='a', history=True))
        + answer(['2 2-0']) + answer(entries) + answer([]))
    yield 'read_entities', (
        pong + s.open('ReadEntityStream')
        + message(es.ReadEntityStreamRequest(items=[es.ReadEntityItem(tag=1, topic='order', entity_id='a')]))
        + answer(['2 2-0']) + answer([entry(2)]) + half_close())
    yield 'subscribe', (
        pong + s.open('Subscribe', es.SubscribeRequest(topics=['order'], start=es.START_AFTER, after=after))
        + ready + answer([entry(2)]) + tail(2, [entry(3)]) + drained() + tail(6, [entry(4)]) + cancel())
    yield 'subscribe_all', (
        pong + s.open('Subscribe', es.SubscribeRequest(start=es.START_BEGINNING)) + ready
        + answer(['1', '5']) + answer(topics) + answer([entry(1)]) + answer([]) + tail(0, [entry(3)]) + tail(7, [entry(4)])
        + drained() + tail(14, []))
    yield 'consume', (
        pong + s.open('Consume', es.ConsumeRequest(start=start)) + answer(['0-0', '2-0', 0]) + ready
        + answer(entries) + answer([]) + tail(2, [entry(3), entry(3, 'b')])
        + message(es.ConsumeRequest(acks=['1-0'], nacks=[es.Nack(entry_id='2-0', reason='later')]))
        + TIMER + message(es.ConsumeRequest(nacks=[es.Nack(entry_id='3-0', action=es.NACK_PARK)]))
        + answer(1) + answer(1) + TIMER + half_close())
    names = dict(topic='order', group='g')
    yield 'parked', (
        pong + s.open('ListParked', es.ListParkedRequest(limit=1, **names))
        + answer([2, '1-0', '1-0', '1 5 why', [entry(1)], '2-0', '', []])
        + s.open('ReplayParked', es.ReplayParkedRequest(all=True, **names)) + answer(5000) + answer(1)
        + s.open('DropParked', es.DropParkedRequest(entry_ids=['1-0'], **names)) + answer(1))
    yield 'replay', (
        pong + s.open('Consume', es.ConsumeRequest(start=start)) + answer(['0-0', '2-0', 0]) + ready
        + answer([entry(1)]) + answer([]) + TIMER + answer(3)
        + message(es.ConsumeRequest(acks=['1-0'], extensions=[es.LeaseExtension(entry_id='1-0')])) + TIMER
        + answer(-1) + answer(['elsewhere']))
    yield 'topics', (
        pong + s.open('Topics', es.TopicsRequest()) + answer(topics) + answer(2) + answer([entry(1)])
        + answer([entry(2)]) + answer(100) + answer(['g', '1-0']) + answer([1, 2, 3, 4, 'o']) * 8)
    begin = pong + s.open('Import') + message(es.ImportRequest(start=es.ImportStart(
        import_id='i', topics=['order', 'cart'])))
    history = [es.Event(topic='order', entry_id=f'{n}-0', event_id=ID % n, event_action='entity_created',
                        event_data='{"a": 1}', entity_id='a', entity_version=n) for n in (1, 2)]
    fresh, done = answer(['open', '0', '0-0', '0-0']), answer(['done', '2', '1-0', '2-0'])
    written = answer('1-0') + answer('2-0')
    finish = message(es.ImportRequest(finish=es.ImportFinish(groups=[
        es.GroupCheckpoint(topic='order', group='g', checkpoint='1-0')])))
    events = message(es.ImportRequest(events=history))
    yield 'import', (
        begin + fresh + fresh + events + written + answer('') + finish + answer([0]) + answer([5]) + TIMER
        + answer('') + answer('') + answer('') + answer('') + answer(''))
    yield 'import_refused', begin + answer('!E') + fresh + answer('')
    yield 'import_wrong', begin + fresh + fresh + events + written + answer('!V 0 7')
    yield 'import_again', (
        begin + done + answer(['open', '1', '1-0', '1-0']) + events + finish + answer([0]) + answer('!T'))
    yield 'import_abandoned', (
        begin + fresh + fresh + events + drained() + written + answer('')
        + message(es.ImportRequest(abandon=True)) + answer('') + answer('!P'))
    yield 'import_left', begin + fresh + fresh + events + half_close() + cancel() + written + fail()
    info = '{"event_id": "e", "event_action": "entity_created", "event_data": "{}", "more": 1}'
    yield 'publish', (
        pong + s.open('publish', es_compat.PublishRequest(event_topic='order', event_info=info))
        + registered + answer('1 1-0\n'))
    yield 'get', pong + s.open('get', es_compat.GetRequest(event_topic='order')) + answer(entries) + answer([])
    yield 'subscribe_group', (
        pong + s.open('subscribe', es_compat.SubscribeRequest(event_topic='order', group_name='g'))
        + answer(['0-0', '0-0', 0]) + ready + answer([]) + tail(2, [entry(1)])
        + s.open('unsubscribe', es_compat.UnsubscribeRequest(event_topic='order'), call=1))


def message_queue():
    s = Service(mq, mq_compat)
    names = dict(service='order-service', function='create')
    one = mq.Message(message_id=ID % 1, payload='{"params": {}}', metadata='{"actor": "x"}', **names)
    record = bytes(8) + one.SerializeToString()
    first = answer(['fuzz', 'other']) + answer(1) + answer(['order-service/create', 'odd']) + answer([])
    begin = first + answer([0, -1, [], [], '0'])
    result = mq.Result(result='{"a": 1}', tokens=[mq.Token(topic='order', entry_id='1-0')])
    outcome = b'R' + result.SerializeToString()
    consume = s.open('Consume') + message(mq.ConsumeRequest(start=mq.ConsumeStart(
        service='order-service', functions=['create'], credits=5, lease_ms=1000, max_attempts=2)))
    settle = mq.Settle(message_id=ID % 1, function='create', result=result)
    retry = mq.Settle(message_id=ID % 1, function='create', retry_reason='later')
    call = s.open('Call', mq.CallRequest(message=one), deadline=100)
    yield 'call', begin + call + answer(['Q', [], []]) + answer([ID % 1, record, 1]) + TIMER * 3
    yield 'call_done', begin + call + answer(['O', [outcome], []])
    yield 'call_dead', begin + call + answer(['X', ['broken'], []])
    yield 'send', begin + s.open('Send', mq.SendRequest(message=one)) + answer(1) + answer(['F', [], []])
    yield 'submit', (
        begin + s.open('SubmitStream')
        + message(mq.SubmitStreamRequest(items=[
            mq.SubmitItem(tag=1, message=one, timeout_ms=100),
            mq.SubmitItem(tag=2, message=one, send_only=True), mq.SubmitItem(tag=3)]))
        + answer(1) + answer(['RD', [], []]) + drained() + half_close())
    yield 'consume', (
        begin + consume + answer([ID % 1, record, 1, ID % 2, record, 3])
        + message(mq.ConsumeRequest(extensions=[
            mq.Extension(message_id=ID % 1, function='create', lease_ms=5000)])) + answer(1)
        + message(mq.ConsumeRequest(settles=[settle, retry])) + answer('S') + answer('R') + TIMER * 4
        + half_close() + answer([]))
    yield 'work', (
        begin + consume + answer([])
        + s.open('SubmitStream') + message(mq.SubmitStreamRequest(items=[
            mq.SubmitItem(tag=1, message=one, timeout_ms=100, sending=mq.FIRST)]), call=1)
        + message(mq.ConsumeRequest(settles=[settle])) + answer('S') + answer('S') + TIMER * 2)
    yield 'consumer_lost', begin + consume + answer([ID % 1, record, 1]) + cancel() + answer(1) + TIMER
    yield 'outcome', (
        begin + s.open('Outcome', mq.OutcomeRequest(message_id=ID % 1, **names)) + answer(['O', outcome]))
    yield 'queues', begin + s.open('Queues', mq.QueuesRequest()) + answer([1, 2, 3, 4, ID % 1, 5])
    dead = [1, [ID % 1, '1700000000000000', 3, 'broken', record, ID % 2, '1700000000000001', 1, 'x', 'odd']]
    yield 'dead_letters', (
        begin + s.open('DeadLetters', mq.DeadLettersRequest(limit=2, after='1', **names)) + answer(dead))
    yield 'requeue_all', (
        begin + consume + answer([]) + s.open('RequeueDead', mq.DeadSelection(all=True, **names), call=1)
        + answer([1000, '1700000000000000']) + answer([1, '1700000000000000']) + answer([ID % 1, record, 1]))
    drop = s.open('DropDead', mq.DeadSelection(message_ids=[ID % 1], **names))
    yield 'drop', begin + drop + answer(1)
    purge = mq.PurgeRequest(**names)
    yield 'purge', (
        begin + call + answer(['Q', [], []]) + s.open('Purge', purge, call=1)
        + answer([1, [ID % 1, ID % 2]]) + answer([0, [ID % 3]]))
    yield 'purge_cancelled', begin + s.open('Purge', purge) + cancel() + answer([1, [ID % 1]])
    yield 'configure', (
        begin + s.open('Configure', mq.ConfigureRequest(max_messages=1, **names)) + answer(1) + TIMER
        + answer(['order-service/create', '2', 'odd']))
    special = mq.Message(message_id=ID % 1, payload='1', priority=mq.HIGH, delay_ms=5, **names)
    yield 'delayed', (
        begin + s.open('Send', mq.SendRequest(message=special)) + answer(1) + answer(['W', [], []]) + TIMER)
    yield 'stopped', answer(['fuzz']) + answer(1) + answer(['order-service/create']) + answer([]) + TIMER * 4
    yield 'redis_lost', fail() + fail() + fail() + TIMER * 2 + call + fail() + fail()
    old = dict(service_name='order-service', func_name='create')
    yield 'old_send', (
        begin + s.open('send_msg', mq_compat.SendRequest(payload='{"a": 1}', **old)) + answer(1)
        + answer(['Q', [], []])
        + s.open('recv_rsp', mq_compat.ReceiveRequest(msg_id=ID % 1, timeout=1, **old), call=1)
        + answer(['O', b'L{"result": 1}']) + TIMER * 2)
    yield 'old_work', (
        begin + s.open('recv_msg', mq_compat.ReceiveRequest(timeout=1, **old)) + answer([ID % 1, record, 1])
        + s.open('ack_msg', mq_compat.AckRequest(msg_id=ID % 1, **old)) + answer(1)
        + s.open('send_rsp', mq_compat.SendRequest(msg_id=ID % 1, payload='{"result": 1}', **old))
        + answer(1))


def read_model():
    s = Service(rm)

    def event(number, topic, action, data):
        return es.Event(topic=topic, entry_id=f'{number}-0', event_id=ID % number, event_action=action,
                        event_data=data, event_type='T', entity_id=ID % 1, entity_version=number)

    order = '{"entity_id": "%s", "status": "CREATED", "cart_id": "c", "total": 5, "more": [1]}' % (ID % 1)
    events = [event(1, 'order', 'entity_created', order), event(2, 'order', 'entity_updated', order),
              event(3, 'mail', 'mail_sent', '{"to": "a"}'), event(4, 'cart', 'entity_deleted', '{}')]
    # the look finds a live generation, whose checkpoint is asked for
    live = answer(['generation', '1', 'version', '2', 'highest', '1']) + answer([None, None, None]) + upstream(
        es.SubscribeResponse(live=True))
    window = answer(0) + answer(['1', None, 'CREATED', 'u', 'c']) + answer('5') + answer(1) * 20 + answer('1-0')
    fields = ['entity_id', ID % 1, '_version', '2', 'status', 'CREATED', 'cart_id', 'c', '_more', '"more":[1]']
    token = rm.Consistency(tokens=[rm.Token(topic='order', entry_id='1-0')], wait_ms=50)
    members = [ID % 1, '1', ID % 2, '2']
    yield 'apply', (
        live + upstream(es.SubscribeResponse(events=events, live=True)) + answer('OK')
        + answer('OK') + upstream(es.SubscribeResponse(events=events)) + answer(['9-0', 'order']) + TIMER
        + answer(['9-0', 'order', '4']) + upstream())
    # nothing is there: one is begun, filled, and followed
    yield 'build', (
        answer([]) + answer(1) + upstream(es.SubscribeResponse(events=events)) + upstream(
            es.SubscribeResponse(events=events, live=True)) + window + answer(2) + answer(['4-0', 'cart', '4'])
        + upstream(es.SubscribeResponse(live=True), stream=1) + answer('OK') + TIMER)
    past = rm.Consistency(at='3-0', wait_ms=50)
    yield 'moment', (
        live + s.open('Get', rm.GetRequest(name='order', id=ID % 1, consistency=past)) + TIMER + answer(2)
        + upstream(es.SubscribeResponse(events=events), stream=1) + window + answer(2) + answer(fields)
        + TIMER * 2 + answer(['generation', '1', 'version', '2', 'highest', '2', 'moment:2', 'x']) + TIMER)
    yield 'no_moment', live + s.open('List', rm.ListRequest(name='order', consistency=rm.Consistency(at='now')))
    yield 'get', live + s.open('Get', rm.GetRequest(name='order', id=ID % 1)) + answer(fields)
    yield 'wait', (
        live + s.open('Get', rm.GetRequest(name='order', id=ID % 1, consistency=token))
        + upstream(es.SubscribeResponse(events=events)) + answer('OK') + answer(fields) + TIMER * 2)
    yield 'many', live + s.open('GetMany', rm.GetManyRequest(name='order', ids=[ID % 1, ID % 2])) + (
        answer(fields) + answer([]))
    yield 'list', live + s.open('List', rm.ListRequest(name='order', limit=2, filters=[
        rm.Filter(field='status', values=['CREATED', 'x'])])) + answer(members) + answer(fields) * 3
    for method in ('Unbilled', 'Unshipped', 'Delivered'):
        yield method.lower(), (
            live + s.open(method, rm.OrdersRequest(limit=2)) + answer(members) + answer(fields) * 6)
    mail = ['3-0', ['event_id', ID % 3, 'json', '{}']]
    yield 'mails', live + s.open('Mails', rm.MailsRequest(limit=2)) + answer([mail, mail])
    yield 'report', live + s.open('Report', rm.ReportRequest()) + (
        answer(members) + answer(fields) * 2 + answer([])) * 7 + answer([mail])
    yield 'report_orders', live + s.open('Report', rm.ReportRequest(name='orders')) + (
        answer(members) + answer(fields) * 9)
    ends = es.TopicsResponse(topics=[es.TopicInfo(topic='order', last_id='0-5')])
    yield 'checkpoints', live + s.open('Checkpoints', rm.CheckpointsRequest()) + upstream(ends, stream=1)
    yield 'stream', (
        live + s.open('GetStream') + message(rm.GetStreamRequest(items=[
            rm.GetItem(tag=1, request=rm.GetRequest(name='order', id=ID % 1)), rm.GetItem(tag=2)]))
        + answer(fields) + half_close() + drained())
    for function, params in (('get_entity', '{"name": "order", "id": "%s"}' % (ID % 1)),
                             ('get_entities', '{"name": "order"}'), ('get_mails', '{}'),
                             ('get_unbilled_orders', '{}'), ('get_delivered_orders', '{}')):
        call = mq.Message(service='read-model', function=function, message_id=ID % 5,
                          payload='{"params": %s}' % params)
        deliveries = mq.ConsumeResponse(deliveries=[mq.Delivery(message=call, attempt=1)])
        yield function, (live + upstream(deliveries, channel=1) + upstream(es.TopicsResponse(), stream=1)
                         + answer(members) + answer(fields) * 3)
    yield 'lost', fail() + TIMER + answer([None, None, None]) + upstream() + TIMER + fail() + TIMER


def main():
    for harness in (event_store, message_queue, read_model):
        folder = pathlib.Path(sys.argv[1]) / harness.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in harness():
            (folder / name).write_bytes(data)
    shutil.copytree(pathlib.Path(__file__).parents[1] / 'scenarios',
                    pathlib.Path(sys.argv[1]) / 'scenario', dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns('*.py', '*.txt', '*.json', '*.md', '__pycache__'))


main()
