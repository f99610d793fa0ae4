"""What a check may look at: the declaration, the facts, the moment. Nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Container, Iterator, Mapping

from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Phase, Profile, Target, Value
from azpreflight.site.model import Node, Site


class NotObserved(Exception):
    """A fact that the check cannot do without could not be had. The result becomes an `error`."""

    def __init__(self, fact: str, target: str, status: Status, reason: str) -> None:
        self.fact, self.target, self.status, self.reason = fact, target, status, reason
        super().__init__(f"{fact} of {target}: {reason}")


class NotApplicable(Exception):
    """The rule has nothing to say about this target. The result becomes `not_applicable` with this reason."""


class Row(Mapping[str, Value]):
    """One CIM instance or one entry of a list fact. A property that is absent is an error, a null is None."""

    def __init__(self, fact: str, target: str, values: Mapping[str, Value]) -> None:
        self._fact, self._target, self._values = fact, target, values

    def __getitem__(self, name: str) -> Value:
        try:
            return self._values[name]
        except KeyError:
            reason = f"the answer has no property {name}, as on an older build"
            raise NotObserved(self._fact, self._target, Status.NOT_PRESENT, reason) from None

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class View:
    """The facts and the declaration as one check on one target sees them.

    Notes every observation that was looked at, so that the result can show what it rests on. `site_facts` are the facts
    that belong to the site as a whole, all others belong to one node each.
    """

    def __init__(
        self,
        site: Site,
        target: Target,
        *,
        phase: Phase,
        now: datetime.datetime,
        facts: Mapping[tuple[str, str], Observation],
        tables: Mapping[str, EndpointTable],
        site_facts: Container[str],
    ) -> None:
        self.site = site
        self.target = target
        self.phase = phase
        self.now = now
        self._facts = facts
        self._tables = tables
        self._site_facts = site_facts
        self.seen: dict[tuple[str, str], Observation] = {}

    @property
    def profile(self) -> Profile:
        """Who proves identities in the site."""
        return self.site.profile

    @property
    def node(self) -> Node:
        """The node that is judged. Only for rules whose target is a node."""
        return next(node for node in self.site.nodes if node.name == self.target.name)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes of the site, in the order of the declaration."""
        return self.site.nodes

    def table(self, name: str) -> EndpointTable:
        """A table of the rule's pack."""
        return self._tables[name]

    def observation(self, fact: str, node: Node | None = None) -> Observation:
        """What became of `fact` of `node`, or of the target when no node is given.

        A fact that nobody collected is `NOT_ASKED`: missing from a recording is never a pass.
        """
        owner = self._owner(fact, node)
        observation = self._facts.get((owner, fact))
        if observation is None:
            observation = Observation(
                fact=fact,
                target=owner,
                source="none",
                status=Status.NOT_ASKED,
                observed_at=self.now,
                reason="it was not collected",
            )
        else:
            self.seen[observation.target, fact] = observation
        return observation

    def _owner(self, fact: str, node: Node | None) -> str:
        """Whose fact it is: the site's, or that of the node. One node's fact never answers for another."""
        if fact in self._site_facts:
            return self.site.name
        return self.target.name if node is None else node.name

    def value(self, fact: str, node: Node | None = None) -> Value:
        """The value of an observed fact.

        Raises:
            NotObserved: for every other status.
        """
        observation = self.observation(fact, node)
        if observation.status is not Status.OBSERVED:
            raise NotObserved(fact, observation.target, observation.status, observation.reason or observation.status)
        return observation.value

    def rows(self, fact: str, node: Node | None = None) -> list[Row]:
        """The rows of an observed fact that is a list.

        Raises:
            NotObserved: for every other status.
        """
        return [Row(fact, self._owner(fact, node), row) for row in self.value(fact, node)]

    def registry(self, fact: str, node: Node | None = None) -> RegistryTree:
        """The value of an observed registry fact.

        Raises:
            NotObserved: for every other status.
        """
        return RegistryTree(self.value(fact, node))
