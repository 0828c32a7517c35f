"""A route, declared once: from the declaration it is served, guarded and described.

What a view takes and gives is read off its types: `body` and `query` are models that are read before it is called, and a
model that it returns is the JSON of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from flask import Flask, Response, jsonify
from pydantic import BaseModel

from coordinator.assembly import Coordinator
from coordinator.operator.answers import RedriveAnswer, StartAnswer, StartNotNeeded
from coordinator.routes.exchange import Caller, Check, batch_id_of, game_date_of, read_body, read_query
from coordinator.routes.frame import show

Schema = dict[str, Any]
Model = type[BaseModel]
View = TypeVar("View", bound=Callable[..., object])

HTML = "text/html"
READERS = (Caller.ADMIN, Caller.VIEWER)


def as_json(body: BaseModel | Response, status: int = 200) -> Response:
    """Answer with a model; what is a response already is left as it is."""
    if isinstance(body, Response):
        return body
    answer = jsonify(body.model_dump(mode="json"))
    answer.status_code = status
    return answer


def as_made(made: StartAnswer | RedriveAnswer | StartNotNeeded) -> Response:
    """Answer with 202 when the request made a batch, 200 when an earlier one with its key did."""
    return as_json(made, 202 if made.started else 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: what the API's description says of it, who may call it, and what carries it out.

    Args:
        answers: success statuses and the models of their JSON bodies; none for an empty body, any JSON, or a page.
        refusals: statuses of problem documents, beside those that every guarded route may give.
        query: the parameters of the query.
        is_page: whether answers and refusals are HTML, for people.
        callers: who may call it; without any it is open to anybody, and served elsewhere.
        view: takes the coordinator, what the path holds, and `query` and `body` where it has them.
        respond: turns what the view returns into the response.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, tuple[Model, ...]]
    refusals: Sequence[int] = ()
    body: Model | None = None
    query: Model | None = None
    headers: Mapping[str, Schema] = field(default_factory=dict)
    is_page: bool = False
    callers: tuple[Caller, ...] = ()
    view: Callable[..., object] = lambda: None
    respond: Callable[[Any], Response] = as_json

    @property
    def name(self) -> str:
        """Its method and the words of its path, such as `post_batches_batch_id_cancel`."""
        return "_".join([self.method, *re.findall(r"\w+", self.path)])

    @property
    def is_open(self) -> bool:
        """Whether anybody may call it."""
        return not self.callers


class Routes(list[Route]):
    """The routes of a module, in order."""

    def add(
        self,
        method: str,
        path: str,
        *,
        callers: tuple[Caller, ...] = READERS,
        refusals: Sequence[int] = (),
        answers: Mapping[int, tuple[Model, ...]] | None = None,
        body: Model | None = None,
        headers: Mapping[str, Schema] | None = None,
        is_page: bool = False,
        respond: Callable[[Any], Response] = as_json,
    ) -> Callable[[View], View]:
        """Declare the view below as a route; the first line of its docstring is the route's summary.

        Args:
            answers: as `Route` has them; 200 with what the view returns without it.
            body: what the description says of a body that the view reads itself.
        """

        def declare(view: View) -> View:
            types = get_type_hints(view)
            by_status = {200: (types["return"],)} if answers is None else answers
            self.append(
                Route(
                    method=method,
                    path=path,
                    summary=(view.__doc__ or "").partition("\n")[0],
                    answers=by_status,
                    refusals=refusals,
                    body=types.get("body", body),
                    query=types.get("query"),
                    headers=headers or {},
                    is_page=is_page,
                    view=view,
                    callers=callers,
                    respond=respond,
                )
            )
            return view

        return declare

    def page(self, path: str, *, refusals: Sequence[int] = ()) -> Callable[[View], View]:
        """Declare the view below as a page for people."""
        return self.add("get", path, answers={200: ()}, refusals=refusals, is_page=True)


def serve(app: Flask, coordinator: Coordinator, check: Check, routes: Iterable[Route]) -> None:
    """Serve routes."""
    for route in routes:
        rule = route.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, route.name, _guarded(route, coordinator, check), methods=[route.method.upper()])


def _guarded(route: Route, coordinator: Coordinator, check: Check) -> Callable[..., Response]:
    def carry_out(**in_path: str) -> Response:
        check(*route.callers)
        if route.is_page:
            return show(lambda: _answer(route, coordinator, in_path))
        return _answer(route, coordinator, in_path)

    return carry_out


def _answer(route: Route, coordinator: Coordinator, in_path: Mapping[str, str]) -> Response:
    read: Mapping[str, Callable[[str], object]] = {"batch_id": batch_id_of, "game_date": game_date_of}
    given = {name: read.get(name, str)(text) for name, text in in_path.items()}
    if route.query is not None:
        given["query"] = read_query(route.query, is_page=route.is_page)
    if route.body is not None and "body" in route.view.__annotations__:
        given["body"] = read_body(route.body)
    return route.respond(route.view(coordinator, **given))
