"""Authentication of requests, and the scopes of their tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from edge_autotuner.server.problems import Problem

Scope = Literal["annotate", "train", "deploy", "admin"]
SCOPES: tuple[Scope, ...] = ("annotate", "train", "deploy", "admin")


@dataclass(frozen=True)
class Caller:
    """A client with a valid token.

    Attributes:
        client: its name in quotas, audit log and metrics.
        scopes: of its token; `admin` includes all others.
    """

    client: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the scopes include this one."""
        return scope in self.scopes or "admin" in self.scopes


class Authenticator(Protocol):
    """Recognises tokens."""

    async def recognise(self, token: str) -> Caller | None:
        """Return the owner of a token; None for one that is unknown, expired or revoked.

        A refusal takes the same steps and the same time for every reason.
        """
        ...


_bearer = HTTPBearer(auto_error=False, description="A token made with `edge-autotuner tokens add`.")


@cache  # the same scopes are one dependency, resolved once per request
def caller_with(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that gives the caller if its token has one of these scopes, else raises 401 or 403."""

    async def find_caller(
        request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        authenticator: Authenticator = request.app.state.services.authenticator
        caller = await authenticator.recognise(shown.credentials) if shown is not None else None
        if caller is None:
            raise Problem(
                401,
                "no-valid-token",
                "send a token of this service in the header Authorization, as `Bearer TOKEN`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        request.state.client = caller.client
        if not any(caller.may(scope) for scope in scopes):
            wanted = " or ".join(f"'{scope}'" for scope in scopes)
            raise Problem(403, "scope-missing", f"this token lacks the scope for {wanted}; use one that has it")
        return caller

    return find_caller
