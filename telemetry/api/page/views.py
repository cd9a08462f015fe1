"""The documents of the page. They hold no readings: their scripts ask the API for those, with the reader's own rights."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, render_template, request
from werkzeug.datastructures import MultiDict

from telemetry.api.core.connections import connections
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query
from telemetry.api.front import SMALL_BYTES
from telemetry.api.operations import operation
from telemetry.api.page import headers, provider, session
from telemetry.api.page.provider import Provider
from telemetry.api.page.refusals import LoginError
from telemetry.api.resources import index
from telemetry.api.resources.index import Index
from telemetry.store.read.events import EVENT_KINDS

MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

blueprint = Blueprint("page", __name__, template_folder="templates")
blueprint.after_request(headers.protect)


@operation(blueprint, "/", Index, Query, scope=None)
def show_index(_: Query) -> Response | dict[str, Any]:
    """The resources there are; for browsers the page of the fleet."""
    wants_page = request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    return Response(render_template("fleet.html"), mimetype="text/html") if wants_page else index.listed()


@blueprint.get("/gpus/<path:gpu>")
def show_gpu(gpu: str) -> str:
    """One GPU over time."""
    return render_template("gpu.html", gpu=gpu)


@blueprint.get("/hosts/<path:host>")
def show_host(host: str) -> str:
    """One host: its GPUs now and over time."""
    return render_template("host.html", host=host)


@blueprint.get("/owners")
def show_owners() -> str:
    """Who used how much."""
    return render_template("owners.html")


@blueprint.get("/job")
def show_job() -> str:
    """One job or pod, which the part of the address behind # names: its GPUs, when it had them, and what it used."""
    return render_template("job.html")


@blueprint.get("/events")
def show_events() -> str:
    """What happened to the GPUs."""
    return render_template("events.html", kinds=EVENT_KINDS)


@blueprint.get("/data")
def show_data() -> str:
    """Where files are sent, and what became of them."""
    return render_template("data.html")


@blueprint.get("/pipeline")
def show_pipeline() -> str:
    """The way of the readings: edges, sources, what was stored and what was not."""
    return render_template("pipeline.html", flower=connections().settings.flower_url)


@blueprint.get("/login")
def ask_for_key() -> str:
    """Where a person gives a key."""
    return _form(request.args.get("then", "/"))


@blueprint.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Keep a valid key."""
    # Anybody may send this. A body that is small has come with its head (`front`); no thread waits for another one.
    is_here = "Expect" not in request.headers and 0 < (request.content_length or 0) <= SMALL_BYTES
    form = request.form if is_here else MultiDict[str, str]()
    then = form.get("then", "/")
    begun = session.begin(form.get("key", "").strip(), then)
    return (_form(then, begun), 403) if isinstance(begun, str) else begun


@blueprint.get("/login/oidc")
def go_to_provider() -> Response | tuple[str, int]:
    """Send a person to the provider of logins. Raises ProblemError where there is none."""
    then = session.own_path(request.args.get("then", "/"))
    try:
        return _provider().send(then)
    except LoginError as error:
        return _form(then, str(error)), 403


@blueprint.get(provider.CALLBACK)
def come_from_provider() -> Response | tuple[str, int]:
    """Let in whom the provider sends. Raises ProblemError where there is none."""
    try:
        person, then = _provider().answered()
    except LoginError as error:
        return _form("/", str(error)), 403
    begun = session.begin_for(person, then)
    return (_form(then, begun), 403) if isinstance(begun, str) else begun


@blueprint.post("/logout")
def log_out() -> Response:
    """Forget the key."""
    return session.end()


@blueprint.get("/page/<name>")
def show_asset(name: str) -> Response:
    """A script, the style or the icon. Raises ProblemError if there is none of the name."""
    if name not in _assets():
        raise ProblemError("not_found", "the page has no such file")
    return Response(_assets()[name], mimetype=MEDIA[name.rpartition(".")[2]])


@blueprint.get("/favicon.ico")
def show_icon() -> Response:
    """The icon, where a browser looks for it on documents that name none."""
    return show_asset("icon.svg")


def _form(then: str, refused: str | None = None) -> str:
    """The document in which a person logs in, with the reason why that failed."""
    known = provider.provider()
    address = f"{known.address}/login/oidc" if known else None
    return render_template("login.html", then=session.own_path(then), refused=refused, provider=address)


def _provider() -> Provider:
    if known := provider.provider():
        return known
    raise ProblemError("not_found", "people log in here by a key: no provider is set (TELEMETRY_OIDC_ISSUER)")


@cache
def _assets() -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in (files("telemetry.api.page") / "static").iterdir()}
