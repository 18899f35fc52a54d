"""The two servers, shared by all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.servers import Client, Cluster, wait_until
from tests.databases import database_of_our_own


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with database_of_our_own("postgresql", folder) as url:
        cluster = Cluster(folder, url)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(autouse=True)
def nothing_goes_on(cluster: Cluster) -> Iterator[None]:
    """What a test that failed has left running keeps no place from the next ones."""
    yield
    if unfinished := cluster.unfinished():
        with Client(cluster.b) as client:
            for identifier in unfinished:
                client.post(f"/operations/{identifier}/cancel")
        wait_until(lambda: not cluster.unfinished(), 30)


@pytest.fixture
def a(cluster: Cluster) -> Iterator[Client]:
    """A client of A, which is started again where a test has ended it."""
    cluster.start_a()
    with Client(cluster.a) as client:
        yield client


@pytest.fixture
def b(cluster: Cluster) -> Iterator[Client]:
    """A client of B."""
    with Client(cluster.b) as client:
        yield client
