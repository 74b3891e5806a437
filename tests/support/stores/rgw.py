"""A one-node Ceph object gateway (RGW), a production S3 server, all in memory.

Wants the Debian packages ``radosgw ceph-mon ceph-osd ceph-common``; measured with Ceph 16.2.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.core.iam import BUCKET_ACTIONS, OBJECT_ACTIONS
from tests.support.stores import (
    REGION,
    Server,
    StartFailed,
    free_port,
    running,
    s3_client,
    wait_for_http,
)

# Every action on objects that RGW 16.2 knows, as far as S3 has it too.
_ALL_OBJECT_ACTIONS = {
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject"),
    *("s3:GetObjectVersion", "s3:DeleteObjectVersion"),
    *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:RestoreObject"),
    *(f"s3:{verb}Object{what}Acl" for verb in ("Get", "Put") for what in ("", "Version")),
    *(f"s3:{verb}Object{what}" for verb in ("Get", "Put") for what in ("Retention", "LegalHold")),
    *(
        f"s3:{verb}Object{what}Tagging"
        for verb in ("Get", "Put", "Delete")
        for what in ("", "Version")
    ),
    "s3:BypassGovernanceRetention",
}

# RGW 16.2 refuses a policy that names an action which it does not know.
_UNKNOWN_ACTIONS = {
    *("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    *("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"),
}

_BINARIES = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

# Every path lies in the scratch directory, every address is loopback, no manager daemon.
# The short Paxos intervals make it start in one second instead of twelve: each change of a map
# otherwise waits for its turn. The two "on start" switches keep the OSD from sending commands
# before it has the monitor's map: it then ends with "wrong fsid", in about every other start.
_CONF = """
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon_port}
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = {home}
admin socket = {home}/$name.asok
pid file = {home}/$name.pid
mon data = {home}/mon
osd data = {home}/osd
keyring = {home}/keyring
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.01
osd objectstore = memstore
memstore device bytes = {capacity}
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off

[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {home}/rgw
rgw dns name = localhost
rgw thread pool size = 64
rgw trust forwarded https = true
"""
_STS_KEY = "claimcheck-tests"  # 16 characters
# With it a wrong secret is AccessDenied, too, instead of SignatureDoesNotMatch.
_STS = f"rgw s3 auth use sts = true\nrgw sts key = {_STS_KEY}\n"
# How RGW 16.2 writes moments into session tokens.
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


@dataclass(frozen=True)
class Keys:
    """An S3 user: RGW's id of it and its key pair."""

    user: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Session:
    """Keys of an assumed role, which end at ``ends_at``."""

    access_key: str
    secret_key: str
    token: str
    ends_at: datetime

    def ended(self) -> Session:
        """These as they are once they have ended, a long time ago.

        RGW keeps a session in its token alone, enciphered (AES-128-CBC) with ``rgw sts key``; whose
        first block, and with it the initialisation vector, stays as it is.
        """
        cipher = Cipher(algorithms.AES(_STS_KEY.encode()), modes.CBC(bytes(16)))
        decryptor, encryptor = cipher.decryptor(), cipher.encryptor()
        text = decryptor.update(base64.b64decode(self.token)) + decryptor.finalize()
        end = _MOMENT.search(text)
        assert end is not None
        text = text[: end.start()] + b"2020" + text[end.start() + 4 :]
        token = base64.b64encode(encryptor.update(text) + encryptor.finalize()).decode()
        return replace(self, token=token)


@dataclass(frozen=True)
class Rgw:
    """A running gateway. ``owner`` may make buckets and then owns them."""

    endpoint_url: str
    owner: Keys
    conf: Path

    def client(self, keys: Keys | None = None, **config: Any) -> Any:
        """`s3_client` for ``keys`` (default: the owner's)."""
        keys = keys or self.owner
        return s3_client(self.endpoint_url, keys.access_key, keys.secret_key, **config)

    def empty(self, bucket: str) -> None:
        """Take all uploads and objects out of a bucket (up to a thousand), and their bytes out of
        memory: by itself the gateway keeps those for hours.
        """
        s3 = self.client()
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads") or []:
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for one in s3.list_object_versions(Bucket=bucket).get("Versions", []):
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        s3.close()
        _run("radosgw-admin", "gc", "process", "--include-all", "--conf", self.conf)

    def create_user(self, name: str) -> Keys:
        """A further user, with no right on any bucket and none to make its own."""
        return _create_user(self.conf, name, max_buckets=-1)

    def add_keys(self, keys: Keys) -> Keys:
        """A further key pair of the same user."""
        more = _new_keys(keys.user)
        pair = ("--access-key", more.access_key, "--secret-key", more.secret_key)
        _run("radosgw-admin", "key", "create", "--conf", self.conf, "--uid", keys.user, *pair)
        return more

    def remove_keys(self, keys: Keys) -> None:
        """Revoke a key pair; the user keeps the others."""
        named = ("--uid", keys.user, "--access-key", keys.access_key)
        _run("radosgw-admin", "key", "rm", "--conf", self.conf, "--key-type", "s3", *named)

    def create_role(self, name: str, bucket: str) -> Keys:
        """A role that may do everything in ``bucket``, and a user who may assume it."""
        user = self.create_user(f"{name}-user")
        trusted = {"Principal": {"AWS": [f"arn:aws:iam:::user/{user.user}"]}}
        trust = _policy({**trusted, "Action": ["sts:AssumeRole"]})
        role = ("--conf", self.conf, "--role-name", name)
        _run("radosgw-admin", "role", "create", *role, "--assume-role-policy-doc", trust)
        self.set_rights(name, bucket)
        return user

    def set_rights(self, role: str, bucket: str | None) -> None:
        """Let the role do everything in ``bucket``, and no more anywhere else; None: nothing."""
        named = ("--conf", self.conf, "--role-name", role, "--policy-name", "granted")
        if bucket is None:
            _run("radosgw-admin", "role-policy", "delete", *named)
            return
        arn = f"arn:aws:s3:::{bucket}"
        rights = _policy({"Action": ["s3:*"], "Resource": [arn, f"{arn}/*"]})
        _run("radosgw-admin", "role-policy", "put", *named, "--policy-doc", rights)

    def assume_role(self, name: str, user: Keys, seconds: int = 900) -> Session:
        """Keys of the role for that long; 900 s is the least."""
        sts = boto3.client(
            "sts",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=user.access_key,
            aws_secret_access_key=user.secret_key,
        )
        arn = f"arn:aws:iam:::role/{name}"
        said = sts.assume_role(RoleArn=arn, RoleSessionName="tests", DurationSeconds=seconds)
        sts.close()
        made = said["Credentials"]
        return Session(
            made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], made["Expiration"]
        )

    def grant(self, user: Keys, policy: Mapping[str, Any]) -> None:
        """Give a user the rights of an IAM policy, in place of what it was given before.

        Less the actions that RGW does not know.
        """
        keys = self.owner
        document = json.dumps(_known(policy))
        caps = ("caps", "add", "--conf", self.conf, "--uid", keys.user, "--caps", "user-policy=*")
        _run("radosgw-admin", *caps)
        iam = boto3.client(
            "iam",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
        )
        iam.put_user_policy(UserName=user.user, PolicyName="granted", PolicyDocument=document)
        iam.close()

    def grant_in_bucket(self, user: Keys, bucket: str, policy: Mapping[str, Any]) -> None:
        """Give a user the rights of an IAM policy by the bucket's own, whose statements stay.

        RGW 16.2 looks for the rights to send a form nowhere else.
        """
        client = self.client()
        try:
            found = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        except client.exceptions.ClientError:
            found = []
        principal = {"AWS": f"arn:aws:iam:::user/{user.user}"}
        granted = [{**each, "Principal": principal} for each in _known(policy)["Statement"]]
        document = {"Version": "2012-10-17", "Statement": [*found, *granted]}
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def create_service_user(self, name: str, bucket: str, prefix: str = "") -> Keys:
        """A user with the rights of the service on objects and lists of ``bucket``, and no other.

        The owner grants them by bucket policy, which replaces the bucket's policy. Object actions
        are limited to keys that start with ``prefix``.
        """
        keys = self.create_user(name)
        arn = f"arn:aws:s3:::{bucket}"
        denied = sorted(_ALL_OBJECT_ACTIONS.difference(OBJECT_ACTIONS))
        statements = [
            {"Effect": "Allow", "Action": OBJECT_ACTIONS, "Resource": f"{arn}/{prefix}*"},
            {"Effect": "Allow", "Action": BUCKET_ACTIONS, "Resource": arn},
            # On RGW an uploader owns the object, and its ACL allows what no policy allows; denying
            # the rest makes it as strict as a bucket of today's AWS, which has no ACLs. RGW 16.2
            # accepts NotAction but ignores it, so the rest is spelt out.
            {"Effect": "Deny", "Action": denied, "Resource": f"{arn}/*"},
        ]
        service, owner = (
            {"AWS": f"arn:aws:iam:::user/{user}"} for user in (keys.user, self.owner.user)
        )
        everything = {"Effect": "Allow", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                *({**statement, "Principal": service} for statement in statements),
                # ... and for the same reason the owner of the bucket has to be let in.
                {**everything, "Principal": owner},
            ],
        }
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        return keys


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _known(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy, less the actions that RGW does not know."""
    statements = [
        {**each, "Action": [a for a in each["Action"] if a not in _UNKNOWN_ACTIONS]}
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def available() -> str | None:
    """None when the gateway can be started here, else the reason why not."""
    missing = [name for name in _BINARIES if shutil.which(name) is None]
    return f"Ceph RGW is not installed: no {', '.join(missing)} on the path" if missing else None


@contextmanager
def start_rgw(capacity: int = 4 << 30, *, sts: bool = False) -> Iterator[Rgw]:
    """Start a monitor, an object store daemon of ``capacity`` bytes and the gateway.

    With ``sts`` roles can be assumed.

    Raises:
        StartFailed: one of the steps failed; nothing is left running.
    """
    with ExitStack() as stack:
        # Removed last: the daemons are stopped before their directory goes.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="claimcheck-rgw-")))
        conf, fsid, mon_port, port = home / "ceph.conf", uuid.uuid4(), free_port(), free_port()
        text = _CONF.format(fsid=fsid, mon_port=mon_port, port=port, home=home, capacity=capacity)
        conf.write_text(text + (_STS if sts else ""))
        for folder in ("mon", "osd", "rgw"):
            (home / folder).mkdir()

        def start(*command: str) -> Server:
            log = home / f"{command[0]}.log"
            return stack.enter_context(running([*command, "-d", "--conf", conf], log))

        monmap, monitor = home / "monmap", f"[v1:127.0.0.1:{mon_port}]"
        _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, monmap)
        _run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--conf", conf)
        mon = start("ceph-mon", "-i", "a")

        osd_uuid = uuid.uuid4()
        # A monitor that has just begun may refuse a command, "problem getting command
        # descriptions"; these may be repeated.
        _run("ceph", "--conf", conf, "osd", "create", osd_uuid, tries=5)
        _run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid, "--conf", conf)
        place = ("root=default", "host=local")
        _run("ceph", "--conf", conf, "osd", "crush", "add", "osd.0", "1.0", *place, tries=5)
        osd = start("ceph-osd", "-i", "0")

        gateway = start("radosgw", "-n", "client.rgw.a")
        endpoint_url = f"http://127.0.0.1:{port}"
        wait_for_http(endpoint_url, [gateway, osd, mon])
        yield Rgw(endpoint_url, _create_user(conf, "owner", max_buckets=1000), conf)


def _new_keys(user: str) -> Keys:
    return Keys(user, secrets.token_hex(10).upper(), secrets.token_hex(20))


def _create_user(conf: Path, name: str, *, max_buckets: int) -> Keys:
    keys = _new_keys(name)
    _run(
        *("radosgw-admin", "user", "create", "--conf", conf),
        *("--uid", keys.user, "--display-name", keys.user, f"--max-buckets={max_buckets}"),
        *("--access-key", keys.access_key, "--secret-key", keys.secret_key),
    )
    return keys


def _run(*command: str | Path | uuid.UUID, tries: int = 1) -> None:
    """Run it; if it fails, up to `tries` times. Raises StartFailed."""
    try:
        subprocess.run(
            [str(word) for word in command],
            check=True,
            timeout=180,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if tries > 1:
            time.sleep(0.5)
            return _run(*command, tries=tries - 1)
        output = (error.output or b"").decode(errors="replace")
        raise StartFailed(f"{error}\n{output}") from error
