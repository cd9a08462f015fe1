"""One cluster, through the Kubernetes client: objects go in and out as plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import kubernetes
import urllib3
import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL, WSClient, get_websocket_url
from websocket import WebSocketBadStatusException, WebSocketException

Object = dict[str, Any]
FORBIDDEN, NOT_FOUND = 403, 404
TIMEOUT_S = (5.0, 20.0)
CORE = "v1"


class ClusterError(Exception):
    """A cluster that cannot be asked, or refuses; the text says why."""


def contexts(kubeconfig: str | None) -> list[str]:
    """The names of the contexts of kubeconfig."""
    try:
        entries, _ = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
    except kubernetes.config.ConfigException as error:
        if "No configuration found" in str(error):
            raise ClusterError("there is no kubeconfig: give --kubeconfig, or set KUBECONFIG") from None
        raise ClusterError(f"kubeconfig cannot be used: {error}") from None
    return [context["name"] for context in entries]


class ForbiddenError(ClusterError):
    """The user of the context may not do this."""


class Ran(NamedTuple):
    """What became of a command in a container."""

    code: int
    out: str
    err: str


class Cluster:
    """A cluster, by its context."""

    def __init__(self, context: str, kubeconfig: str | None = None) -> None:
        self.context = context
        try:
            self._client = kubernetes.config.new_client_from_config(config_file=kubeconfig, context=context)
        except kubernetes.config.ConfigException as error:
            raise ClusterError(f"the context {context} cannot be used: {error}") from None
        self._client.configuration.retries = False

    @cached_property
    def groups(self) -> frozenset[str]:
        """The group versions that the cluster serves, as apps/v1."""
        listed = self.get("/apis") or {}
        versions = {version["groupVersion"] for group in listed.get("groups", []) for version in group["versions"]}
        return frozenset(versions | {CORE})

    def version(self) -> str:
        """Its version, as v1.36.2."""
        return str((self.get("/version") or {}).get("gitVersion", ""))

    def resource(self, api_version: str, kind: str) -> Object | None:
        """What the cluster says of a kind: its plural `name`, and whether it is `namespaced`."""
        return self._resources(api_version).get(kind)

    def may(self, verb: str, api_version: str, plural: str, namespace: str) -> bool:
        """Whether the user of the context may do this. A part of an object is written as in pods/exec."""
        group = api_version.rpartition("/")[0]
        resource, _, part = plural.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        if part:
            attributes["subresource"] = part
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer.get("status", {}).get("allowed"))

    def get(self, path: str) -> Object | None:
        """An object or a list; None if there is none."""
        try:
            answer: Object = self._call("GET", path)
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise _explained(error) from None
        return answer

    def seen(self, path: str) -> Object | None:
        """An object; None if there is none, or if this user may not see it."""
        try:
            return self.get(path)
        except ForbiddenError:
            return None

    def items(self, path: str) -> list[Object]:
        """The items of a list."""
        return list((self.get(path) or {}).get("items", []))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Object:
        """Make, change or delete an object; what the cluster answers."""
        try:
            answer: Object = self._call(method, path, body)
        except ApiException as error:
            raise _explained(error) from None
        return answer

    def log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log; empty if there is none."""
        query = f"container={container}&tailLines={lines}"
        try:
            return str(self._call("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log?{query}", kind="str"))
        except ApiException:
            return ""

    def run(self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float) -> Ran:
        """Run a command in a container, as `kubectl exec` does. Others see its words: no secret belongs into them."""
        where = f"`{' '.join(command[:2])}` in {pod} of {self.context}"
        query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in command)]
        configuration, headers = self._client.configuration, dict[str, str]()
        path = path_of(CORE, "pods", namespace, pod)
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"])
            # Without the library's own wrapper, which fails over each refusal as that has no body.
            url = get_websocket_url(f"{configuration.host}{path}/exec", query)
            session = WSClient(configuration, url, headers, capture_all=False, binary=True)
            try:
                session.run_forever(timeout=timeout_s)
                if session.is_open():
                    raise ClusterError(f"{where} has not ended within {timeout_s:g} s")
                out, err = (
                    session.read_channel(channel).decode("utf-8", "replace") for channel in (STDOUT_CHANNEL, STDERR_CHANNEL)
                )
                return Ran(_code(session.read_channel(ERROR_CHANNEL), where), out, err)
            finally:
                session.sock.shutdown()
        except WebSocketBadStatusException as error:
            refused = ApiException(status=error.status_code, reason="without a connection")
            refused.body = error.resp_body
            raise _explained(refused) from None
        except (WebSocketException, OSError) as error:
            raise ClusterError(f"no connection for {where}: {error}") from None

    @cached_property
    def _known(self) -> dict[str, dict[str, Object]]:
        return {}

    def _resources(self, api_version: str) -> dict[str, Object]:
        if api_version not in self._known:
            prefix = "/api/" if "/" not in api_version else "/apis/"
            listed = (self.get(prefix + api_version) or {}).get("resources", [])
            self._known[api_version] = {each["kind"]: each for each in listed if "/" not in each["name"]}
        return self._known[api_version]

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "object") -> Any:
        bare, _, query = path.partition("?")
        pairs: Sequence[Sequence[str]] = [pair.split("=", 1) for pair in query.split("&") if pair]
        headers = {"Accept": "application/json" if kind == "object" else "*/*", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            response = self._client.call_api(
                bare, method, query_params=[tuple(pair) for pair in pairs], header_params=headers, body=body,
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True, _request_timeout=TIMEOUT_S,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"the cluster of {self.context} does not answer: {_cause(error)}") from None
        text = response.data.decode("utf-8", "replace")
        return json.loads(text) if kind == "object" else text


def path_of(api_version: str, plural: str, namespace: str | None, name: str = "") -> str:
    """Where an object or a list stands."""
    place = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return place + (f"/namespaces/{namespace}" if namespace else "") + f"/{plural}" + (f"/{name}" if name else "")


def _explained(error: ApiException) -> ClusterError:
    try:
        reason = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        reason = f"{error.status} {error.reason}"
    return ForbiddenError(reason) if error.status == FORBIDDEN else ClusterError(reason)


def _code(ended: bytes, where: str) -> int:
    """The exit code, of what the cluster says about the end of a command."""
    try:
        status = yaml.safe_load(ended)
        if status["status"] == "Success":
            return 0
        causes = status.get("details", {}).get("causes", [])
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if codes:
            return int(codes[0])
        reason = str(status.get("message", "no reason was given"))
    except (yaml.YAMLError, TypeError, AttributeError, KeyError, ValueError):
        reason = "the connection ended before it"
    raise ClusterError(f"{where} did not end in order: {reason}")


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error)
