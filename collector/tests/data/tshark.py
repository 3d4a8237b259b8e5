#!/usr/bin/env python3
"""Turns tshark's JSON of a BMP stream into one line a message, for tests/tshark.rs.

usage: tshark -T json --no-duplicate-keys -J "bmp bgp" ... | tshark.py > NAME.tshark.tsv

A line is the BMP type, then name=value columns, each a list in the order of the wire. Only what
is in the message is there.
"""
import json
import re
import sys

PREFIX = ('nlri_prefix', 'mp_reach_nlri_ipv4_prefix', 'mp_reach_nlri_ipv6_prefix',
          'withdrawn_prefix', 'mp_unreach_nlri_ipv4_prefix', 'mp_unreach_nlri_ipv6_prefix')
WITHDRAWN = PREFIX[3:]
SEGMENT = {'1': '{%s}', '2': '%s', '3': '(%s)', '4': '[%s]'}
EVPN = ('rt', 'rd', 'esi', 'etag', 'mac_addr', 'ip.addr', 'prefix_len', 'ipv4.gtw_addr',
        'ipv6.addr', 'ipv6.gtw_addr')


def many(value):
    return value if isinstance(value, list) else [value]


def leaves(value, name):
    """Every value of a name, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name:
                for one in many(inner):
                    if not isinstance(one, dict):
                        yield one
            yield from leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)


def dicts(value, having):
    """Every object that has one of these names, in order."""
    if isinstance(value, dict):
        if any(name in value for name in having):
            yield value
        for inner in value.values():
            yield from dicts(inner, having)
    elif isinstance(value, list):
        for inner in value:
            yield from dicts(inner, having)


def prefix(found):
    """(withdrawn, text) of an object that is a prefix."""
    name = next(name for name in PREFIX if 'bgp.' + name in found)
    length = int(found['bgp.prefix_length'])
    labels = re.findall(r'\d+', found.get('bgp.label_stack', '')) if 'bgp.label_stack' in found else []
    withdrawn = name in WITHDRAWN
    length -= 24 * len(labels) + (64 if 'bgp.rd' in found else 0)
    text = f"{found['bgp.' + name]}/{length}"
    if 'bgp.rd' in found:
        text = f"{found['bgp.rd']}|{text}"
    if labels and not withdrawn:
        text = f"{','.join(labels)}|{text}"
    if 'bgp.nlri_path_id' in found:
        text = f"#{found['bgp.nlri_path_id']}|{text}"
    return withdrawn, text


def as_path(attribute):
    path = []
    for segment in dicts(attribute, ['bgp.update.path_attribute.as_path_segment.type']):
        asns = [*leaves(segment, 'bgp.update.path_attribute.as_path_segment.as4'),
                *leaves(segment, 'bgp.update.path_attribute.as_path_segment.as2')]
        kind = segment['bgp.update.path_attribute.as_path_segment.type']
        path.append(SEGMENT[kind] % ' '.join(asns))
    return ' '.join(path)


def columns(bgp):
    announced, withdrawn = [], []
    for found in dicts(bgp, ['bgp.' + name for name in PREFIX]):
        gone, text = prefix(found)
        (withdrawn if gone else announced).append(text)
    yield 'announced', announced
    yield 'withdrawn', withdrawn
    for attribute in dicts(bgp, ['bgp.update.path_attribute.type_code']):
        if attribute['bgp.update.path_attribute.type_code'] == '2':
            yield 'as_path', [as_path(attribute)]
    at = 'bgp.update.path_attribute.'
    yield 'origin', list(leaves(bgp, at + 'origin'))
    yield 'next_hop', list(leaves(bgp, at + 'next_hop'))
    yield 'mp_next_hop', [*leaves(bgp, at + 'mp_reach_nlri.next_hop.ipv4'),
                          *leaves(bgp, at + 'mp_reach_nlri.next_hop.ipv6')]
    yield 'link_local', list(leaves(bgp, at + 'mp_reach_nlri.next_hop.ipv6.link_local'))
    yield 'med', list(leaves(bgp, at + 'multi_exit_disc'))
    yield 'local_pref', list(leaves(bgp, at + 'local_pref'))
    yield 'originator', list(leaves(bgp, at + 'originator_id'))
    yield 'cluster', list(leaves(bgp, 'bgp.path_attribute.cluster_id'))
    yield 'otc', list(leaves(bgp, at + 'otc'))
    yield 'aggregator', list(leaves(bgp, at + 'aggregator_origin'))
    # tshark puts those with names beside the others, not among them: sorted.
    communities = [(number >> 16, number & 0xffff)
                   for number in (int(one, 16) for one in leaves(bgp, at + 'community_wellknown'))]
    communities += zip(map(int, leaves(bgp, at + 'community_as')), map(int, leaves(bgp, at + 'community_value')))
    yield 'communities', [f'{high}:{low}' for high, low in sorted(communities)]
    yield 'large', [':'.join(found['bgp.large_communities.' + part] for part in ('ga', 'ldp1', 'ldp2'))
                    for found in dicts(bgp, ['bgp.large_communities.ga'])]
    yield 'extended', ['x'] * len(list(leaves(bgp, 'bgp.ext_com.type')))
    evpn = []
    for route in dicts(bgp, ['bgp.evpn.nlri.rt']):
        parts = [f"{name}={route['bgp.evpn.nlri.' + name]}" for name in EVPN if 'bgp.evpn.nlri.' + name in route]
        labels = [label for name in ('bgp.evpn.nlri.mpls_ls1', 'bgp.evpn.nlri.mpls_ls2', 'bgp.evpn.nlri.vni',
                                     at + 'mpls_label_value', at + 'mpls_label_value_20bits')
                  for label in leaves(route, name)]
        evpn.append(';'.join(parts + ([f"label={','.join(labels)}"] if labels else [])))
    yield 'evpn', evpn
    yield 'flowspec', list(leaves(bgp, 'bgp.flowspec_nlri'))


def main():
    for number, message in enumerate(json.load(sys.stdin), 1):
        layers = message['_source']['layers']
        bmp = layers['bmp']
        line = [str(number), bmp['bmp.type']]
        peer = bmp.get('bmp.peer.header', {})
        for name in ('peer.distinguisher', 'peer.asn', 'peer.id', 'peer.ip.addr', 'peer.ipv6.addr'):
            if 'bmp.' + name in peer:
                line.append(f"{name}={peer['bmp.' + name]}")
        if bmp['bmp.type'] == '0':
            for name, values in columns(layers.get('bgp', bmp)):
                if values:
                    line.append(f"{name}={' '.join(values) if name != 'evpn' else ' & '.join(values)}")
        print('\t'.join(line))


main()
