"""Ask what answers by HTTP: a component's health endpoint, and the API server.

kubectl would take a tenth of a second of a processor for each question to the API server, and what is waited for starts
on the same processor.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

from swap_common import Problem, run

# The administrator's kubeconfig, which kubeadm writes.
ADMIN = "/etc/kubernetes/admin.conf"

# Seconds that the API server may take for an answer, and a health endpoint.
PATIENCE = 10
HEALTH_PATIENCE = 2


class Missing(Problem):
    """The API server has no such object."""


class Api:
    """The API server, asked with a kubeconfig of kubeadm's."""

    def __init__(self, kubeconfig=ADMIN):
        words = ("--raw", "--minify", "--flatten", "--output=json", f"--kubeconfig={kubeconfig}")
        config = json.loads(run("kubectl", "config", "view", *words))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"]
        # Without the authorities that the node trusts: reading those takes longer than asking.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
            certificate, key = user["client-certificate-data"], user["client-key-data"]
        except KeyError as error:
            raise Problem(f"{kubeconfig} has no {error}, which kubeadm writes") from None
        with secret(certificate) as certificate_file, secret(key) as key_file:
            context.load_cert_chain(certificate_file, key_file)
        self.opener = opener(context)

    def get(self, path, **query):
        """An object, or a list of them."""
        return json.loads(self.ask("GET", path, **query))

    def patch(self, path, kind, patch):
        """Change an object by a `json`, `merge` or `strategic-merge` patch."""
        self.ask("PATCH", path, json.dumps(patch).encode(), f"application/{kind}-patch+json")

    def delete(self, path, **query):
        """Delete an object, if it is there."""
        with contextlib.suppress(Missing):
            self.ask("DELETE", path, **query)

    def ask(self, method, path, body=None, content_type=None, **query):
        """The text of an answer."""
        url = f"{self.server}{path}?{urllib.parse.urlencode(query)}"
        headers = {"Content-Type": content_type} if content_type else {}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with self.opener.open(request, timeout=PATIENCE) as answer:
                return answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            what = Missing if error.code == http.HTTPStatus.NOT_FOUND else Problem
            raise what(f"{method} {path}: the API server says {error.code}: {said_by(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Problem(f"{method} {path}: the API server does not answer: {error}") from None


def said_by(error):
    """What the API server says of an error: an object of kind Status, except where something else answers."""
    text = error.read().decode(errors="replace")
    try:
        return json.loads(text)["message"]
    except (ValueError, LookupError, TypeError):
        return text.strip() or error.reason


@contextlib.contextmanager
def secret(data):
    """The path of a file that is on no disk, and gone with this process."""
    with os.fdopen(os.memfd_create("secret"), "wb") as file:
        file.write(base64.b64decode(data))
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def opener(context):
    """What opens URLs, past any proxy that the node is told of."""
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}))


@functools.cache
def trusting():
    """The same, without verifying certificates, as kubelet's probes do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return opener(context)


def is_healthy(url):
    """Tell whether a health endpoint says so."""
    try:
        with trusting().open(url, timeout=HEALTH_PATIENCE) as answer:
            return answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
