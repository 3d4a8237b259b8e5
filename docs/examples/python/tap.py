"""Prints the routes of Ribstream's events topic, one line each, as they come.

    python -m grpc_tools.protoc -I proto --python_out=docs/examples/python proto/ribstream/v1/*.proto
    python docs/examples/python/tap.py --brokers localhost:9092 --from-beginning --to-end

It joins no consumer group, so it disturbs nobody. One that shares the work with others of its
kind, and goes on where it was, sets group.id and uses subscribe() in place of assign().
"""

import argparse
import ipaddress
import sys

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from ribstream.v1 import event_pb2


def address(octets):
    if not octets:
        return "-"
    parsed = ipaddress.ip_address(octets)
    # Older Pythons print these in hexadecimal digits.
    mapped = parsed.version == 6 and parsed.ipv4_mapped
    return f"::ffff:{mapped}" if mapped else str(parsed)


def path(attributes):
    """The AS path as routers print it, sets in braces."""
    parts = []
    for segment in attributes.as_path.segments:
        sequence = segment.type in (2, 3)
        parts.append((" " if sequence else ",").join(map(str, segment.asns)))
        if segment.type != 2:
            parts[-1] = {1: "{%s}", 3: "(%s)", 4: "[%s]"}[segment.type] % parts[-1]
    return " ".join(parts)


def lines(event):
    """One for each unicast, labelled or VPN route of a route update."""
    updates = [event.route_update, *event.route_update.more]
    for update in updates:
        for sign, fields in (("+", update.announced), ("-", update.withdrawn)):
            for field in fields:
                for route in field.prefixes:
                    prefix = f"{address(route.prefix.address)}/{route.prefix.length}"
                    line = f"{event.received_at} {event.router} {address(event.peer.address)} {sign} {prefix}"
                    if sign == "+":
                        line += f" {address(field.next_hop)} {path(update.attributes)}"
                    yield line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="ribstream.events")
    parser.add_argument("--from-beginning", action="store_true")
    parser.add_argument("--to-end", action="store_true", help="stop when all is read that there is")
    arguments = parser.parse_args()

    consumer = Consumer(
        {
            "bootstrap.servers": arguments.brokers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.partition.eof": arguments.to_end,
        }
    )
    topic = consumer.list_topics(arguments.topic, timeout=10).topics[arguments.topic]
    if topic.error:
        sys.exit(f"topic {arguments.topic}: {topic.error}")
    start = OFFSET_BEGINNING if arguments.from_beginning else OFFSET_END
    left = set(topic.partitions)
    consumer.assign([TopicPartition(arguments.topic, partition, start) for partition in left])
    while left:
        record = consumer.poll(1.0)
        if record is None:
            continue
        if record.error():
            if record.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(record.error())
            left.discard(record.partition())
            continue
        # The header tells what is in a record before it is decoded.
        if dict(record.headers()).get("ribstream-event") == b"route_update":
            for line in lines(event_pb2.Event.FromString(record.value())):
                print(line)
    consumer.close()


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
