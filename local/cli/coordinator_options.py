"""What all commands that operate a coordinator have in common: where it is, yes or no, and how they print."""

from __future__ import annotations

import shlex
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from local.cli.exits import NO_SUCCESS
from local.cli.options import DEFAULT_STATE, audience_option, bundled, impersonate_option, json_option
from local.cli.terminal import Terminal, echo, printable
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.one_machine.coordinator_client import CoordinatorClient


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorAddress:
    """Where the coordinator is: at a URL, or over a state folder."""

    url: str | None
    state: Path | None
    audience: str | None
    impersonate: str | None
    search_path: str | None
    again: str = ""
    """The options that say so, as they are typed after another command."""

    @property
    def state_folder(self) -> Path:
        """The state folder, where no URL is given."""
        return self.state or DEFAULT_STATE

    @property
    def resuming(self) -> str:
        """The command that goes on with what was left in a state folder, where nothing runs by itself."""
        return f"tipoff run --resume{self.again}"

    @contextmanager
    def client(self) -> Iterator[CoordinatorClient]:
        """A client of it, for the length of the block. Raises `InvalidInput` where there is none to be had."""
        if self.url is None:
            from local.cli.state_client import client_of_state  # noqa: PLC0415 - so that --help answers at once

            with client_of_state(self.state_folder, resuming=self.resuming) as client:
                yield client
            return
        with self.clients_at(self.url)() as client:
            yield client

    def clients_at(self, url: str) -> Callable[[], AbstractContextManager[CoordinatorClient]]:
        """What opens clients of the coordinator at a URL, each for one thread. Raises `InvalidInput` as `client`."""
        from local.one_machine.coordinator_client import clients_of_url  # noqa: PLC0415 - so that --help answers at once

        return clients_of_url(url, audience=self.audience, impersonate=self.impersonate, search_path=self.search_path)


def _where(
    *, environ: Mapping[str, str], url: str | None, state: Path | None, impersonate: str | None, audience: str | None
) -> CoordinatorAddress:
    if url is not None and state is not None:
        raise InvalidInput("--state", "cannot go with --url; choose the state folder or the running coordinator")
    return CoordinatorAddress(
        url=None if state is not None else url or environ.get("TIPOFF_URL") or None,
        state=state,
        audience=audience,
        impersonate=impersonate,
        search_path=environ.get("PATH"),
        again=_typed({"--url": url, "--state": state, "--impersonate": impersonate, "--audience": audience}),
    )


def _where_named(
    *, environ: Mapping[str, str], url: str | None, state: Path | None, impersonate: str | None, audience: str | None
) -> CoordinatorAddress:
    """The same by the options alone; those of an account need a URL, without which they would be passed over."""
    for option, given in (("--impersonate", impersonate), ("--audience", audience)):
        if given is not None and url is None:
            raise InvalidInput(option, "needs --url, the address of a running coordinator; TIPOFF_URL is not read here")
    unset = {name: value for name, value in environ.items() if name != "TIPOFF_URL"}
    return _where(environ=unset, url=url, state=state, impersonate=impersonate, audience=audience)


def _typed(options: Mapping[str, object]) -> str:
    """Options as they are typed after a command, those that were given."""
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)


def _address_options(*, url: str, state: str) -> tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...]:
    """The options of an address, with what the help says of two of them."""
    return (
        click.option("--url", help=url),
        click.option("--state", type=click.Path(path_type=Path, file_okay=False), help=state),
        impersonate_option,
        audience_option,
        json_option,
    )


coordinator_options = bundled(
    "where",
    _where,
    *_address_options(
        url="Address of a running coordinator; the default is the environment variable TIPOFF_URL. An identity token is "
        "sent to https addresses.",
        state="State folder of `tipoff run` on this machine; .tipoff where no URL is given.",
    ),
)
"""Give a command the options that say where the coordinator is, which it takes as `where`, and `as_json`."""

named_coordinator_options = bundled(
    "where",
    _where_named,
    *_address_options(
        url="Address of a running coordinator, to be used in place of this machine; its tables hold the inputs. Only this "
        "option chooses it: the environment variable TIPOFF_URL is not read. An identity token is sent to https addresses.",
        state="State folder on this machine; .tipoff where no URL is given. The sample season's is its subfolder simulated.",
    ),
)
"""The same for a command that works on this machine unless --url is typed: the environment sends it nowhere else."""

batch_argument = click.argument("batch", metavar="BATCH")
"""A batch id, or a game date, which means the date's newest batch."""

newest_argument = click.argument("batch", metavar="[BATCH]", required=False)
"""The same, or the newest of all."""

_yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation (asked on a terminal only).")
why_option = click.option("--why", default="", help="Your reason, which is kept with your account and the time.")


def reason(why: str) -> dict[str, str]:
    """The header that carries a reason; none where none is given."""
    return {"Tipoff-Why": quote(why, safe=" ")} if why else {}


def action_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what every action on a batch takes: the batch, `--yes`, `--why`, and where the coordinator is."""
    return batch_argument(_yes_option(why_option(coordinator_options(command))))


def ask_for(
    client: CoordinatorClient, batch: str, action: str, body: Mapping[str, object], *, yes: bool, why: str, asks: bool
) -> dict[str, Any]:
    """Have an action done with a batch, after a person has agreed where it `asks`; the command ends where he does not."""
    path = f"/batches/{client.find(batch)}/{action}"
    if asks and not _is_agreed(_confirmation_of(client, path, body), yes=yes):
        raise click.exceptions.Exit(NO_SUCCESS)
    return client.post(path, body, {"Idempotency-Key": str(uuid.uuid4()), **reason(why)})


def _is_agreed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees; not asked where `--yes` says so, or where no person is at a terminal."""
    return yes or not sys.stdin.isatty() or click.confirm(printable(question), err=True)


def _confirmation_of(client: CoordinatorClient, path: str, body: Mapping[str, object]) -> str:
    """What a person is to say yes to before an action, in the coordinator's own words where it offers the action now."""
    explanation = client.get(f"{path.rpartition('/')[0]}/explain")
    actions = [sentence["action"] for sentence in explanation["sentences"] if sentence["action"]]
    asked = [
        one["confirm"] for one in actions if one["path"] == path and one["body"] in (None, body) and one["confirm"]
    ]
    return str(asked[0]) if asked else f"{explanation['headline']} Go on all the same?"


def console() -> Terminal:
    """Where tables go: a person's terminal wraps lines, a file gets them whole."""
    return Terminal(highlight=False, soft_wrap=True, markup=False)


def tell_later(where: CoordinatorAddress) -> None:
    """Say that what was published over a state folder waits there."""
    if where.url is None:
        echo(
            f"tipoff: nothing runs on a state folder meanwhile: `{where.resuming}` delivers what was published",
            err=True,
        )
