"""OpenStack Swift with its S3 API, where the parts of an upload stay the object itself.

Wants the Debian packages ``swift-proxy swift-account swift-container swift-object memcached``;
measured with Swift 2.30. The servers are Debian's, run by Debian's own Python.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.stores import StartFailed, free_port, running, s3_client, wait_for_http

_KINDS: Final = ("account", "container", "object")
_SERVERS: Final = (*(f"swift-{kind}-server" for kind in _KINDS), "swift-proxy-server", "memcached")

_RINGS: Final = """
import sys
from swift.common.ring import RingBuilder
home, *ports = sys.argv[1:]
for kind, port in zip(("account", "container", "object"), ports):
    ring = RingBuilder(2, 1, 1)
    ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1",
                  "port": int(port), "device": "d"})
    ring.rebalance()
    ring.get_ring().save(f"{home}/{kind}.ring.gz")
"""

_CONF: Final = """
[swift-hash]
swift_hash_path_suffix = claimcheck
[storage-policy:0]
name = only
default = yes
"""

_SERVER: Final = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {home}
devices = {home}/devices
mount_check = false
disable_fallocate = true
workers = 0
user = {user}
log_udp_host = 127.0.0.1
log_udp_port = 9
log_level = CRITICAL
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
replication_server = false
fsync = false
"""

_PROXY: Final = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {home}
workers = 0
user = {user}
log_udp_host = 127.0.0.1
log_udp_port = 9
log_level = CRITICAL
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo versioned_writes \
symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
allow_multipart_uploads = true
check_bucket_owner = false
[filter:tempauth]
use = egg:swift#tempauth
{users}
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
minimum_segment_size = 1
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""


@dataclass(frozen=True)
class Swift:
    """A running cluster of one node, and one key pair, which may do everything."""

    endpoint_url: str
    access_key: str
    secret_key: str

    def client(self, **config: Any) -> Any:
        """`s3_client` for the key pair."""
        return s3_client(self.endpoint_url, self.access_key, self.secret_key, **config)


def available() -> str | None:
    """None when Swift can be started here, else the reason why not."""
    missing = [name for name in _SERVERS if shutil.which(name) is None]
    return f"Swift is not installed: no {', '.join(missing)} on the path" if missing else None


@contextmanager
def start_swift() -> Iterator[Swift]:
    """Start a proxy with one account, container and object server each, and memcached.

    Raises:
        StartFailed: it did not come up; nothing is left running.
    """
    # The name of a user of tempauth, which S3's access key is.
    access_key, secret_key = f"t{secrets.token_hex(6)}:owner", secrets.token_hex(20)
    account, _, name = access_key.partition(":")
    users = f"user_{account}_{name} = {secret_key} .admin"
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="claimcheck-swift-")))
        (home / "devices" / "d").mkdir(parents=True)
        (home / "swift.conf").write_text(_CONF)
        ports = {kind: free_port() for kind in _KINDS}
        _make_rings(home, *ports.values())
        common = {"home": home, "user": Path(home).owner()}
        cache = free_port()

        def start(*command: str, name: str) -> Any:
            return stack.enter_context(running(command, home / f"{name}.log", kill=True))

        servers = [
            start(
                *("memcached", "-l", "127.0.0.1", "-p", str(cache), "-U", "0"),
                *("-u", common["user"], "-m", "16"),
                name="memcached",
            )
        ]
        for kind, port in ports.items():
            conf = home / f"{kind}.conf"
            conf.write_text(_SERVER.format(**common, kind=kind, port=port))
            servers.append(start(f"swift-{kind}-server", str(conf), name=kind))
        conf, port = home / "proxy.conf", free_port()
        conf.write_text(_PROXY.format(**common, port=port, memcached=cache, users=users))
        servers.append(start("swift-proxy-server", str(conf), name="proxy"))
        for at in (*ports.values(), port):
            wait_for_http(f"http://127.0.0.1:{at}", servers)
        yield Swift(f"http://127.0.0.1:{port}", access_key, secret_key)


def _make_rings(home: Path, *ports: int) -> None:
    words = ["/usr/bin/python3", "-c", _RINGS, str(home), *map(str, ports)]
    made = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    if made.returncode:
        raise StartFailed(made.stderr)
