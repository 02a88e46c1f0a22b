# SPDX-License-Identifier: Apache-2.0
"""Searches, documents and indices by the client of Elasticsearch: search_driver.py PORT"""
import sys

from elasticsearch import Elasticsearch, NotFoundError

client = Elasticsearch(f"http://127.0.0.1:{sys.argv[1]}", max_retries=0)
sys.stdin.readline()
client.info()
client.indices.create(index="shop")
assert client.indices.exists(index="shop")
for i in range(13):
    client.index(index="shop", id=str(i), document={"name": "secret"})
client.bulk(operations=[x for i in range(7) for x in ({"index": {"_index": "shop"}}, {"a": i})])
for i in range(11):
    client.search(index="shop", query={"match": {"name": "secret"}})
client.search(index="shop", query={"match": {"name": "slow"}})
for i in range(5):
    client.get(index="shop", id=str(i))
client.count(index="shop")
for _ in range(3):
    try:
        client.search(index="none", query={"match_all": {}})
        raise SystemExit("an index that there is not")
    except NotFoundError:
        pass
client.delete(index="shop", id="1")
client.cluster.health()
client.indices.delete(index="shop")
