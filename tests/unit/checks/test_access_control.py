"""Access control lists: each way in which an entry gives a right, takes it away, or has no say."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.checks.access_control import (
    COMPUTER,
    CREATE_CHILD,
    DELETE_CHILD,
    EVERY_LOGON,
    FULL_CONTROL,
    LIST_CONTENTS,
    ORGANIZATIONAL_UNIT,
    OWNER_RIGHTS,
    READ_CONTROL,
    READ_PROPERTY,
    RECOVERY,
    Ace,
    Descriptor,
    Right,
    decide,
    descriptor_of,
)

USER, GROUP, OTHER = "S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-1150", "S-1-5-21-1-2-3-1199"
SIDS = EVERY_LOGON | {USER, GROUP}
USERS = "bf967aba-0de6-11d0-a285-00aa003049e2"

CREATE = Right("create computers", CREATE_CHILD, COMPUTER)
BOTH = Right("create and delete computers", CREATE_CHILD | DELETE_CHILD, COMPUTER)
READ = Right("read", READ_PROPERTY, ORGANIZATIONAL_UNIT)
PERMISSIONS = Right("read permissions", READ_CONTROL, ORGANIZATIONAL_UNIT)
BELOW = Right("control recovery objects", FULL_CONTROL, RECOVERY, below=True)


def ace(**changes: Any) -> Ace:
    values: dict[str, Any] = {
        "type": "allow",
        "sid": USER,
        "mask": FULL_CONTROL,
        "object_type": None,
        "inherited_object_type": None,
        "inherit_only": False,
        "container_inherit": True,
        "no_propagate": False,
    }
    return Ace(**{**values, **changes})


def deny(**changes: Any) -> Ace:
    return ace(type="deny", **changes)


def has(right: Right, *aces: Ace, owner: str | None = OTHER, present: bool = True) -> bool:
    return decide(Descriptor(owner=owner, dacl_present=present, dacl=aces), SIDS, right).granted


class TestTheObjectItself:
    @pytest.mark.parametrize("sid", [USER, GROUP, "S-1-1-0", "S-1-5-11", USER.lower()])
    def test_the_user_a_group_or_everybody_may(self, sid: str) -> None:
        assert has(CREATE, ace(sid=sid))

    def test_somebody_else_may_not(self) -> None:
        assert not has(CREATE, ace(sid=OTHER))

    def test_nobody_may_where_there_are_no_entries(self) -> None:
        assert not has(CREATE)

    def test_everybody_may_where_there_is_no_list(self) -> None:
        assert has(CREATE, present=False)

    @pytest.mark.parametrize("object_type", [None, COMPUTER, COMPUTER.upper(), f"{{{COMPUTER}}}"])
    def test_children_of_the_class_or_of_all(self, object_type: str | None) -> None:
        assert has(CREATE, ace(mask=CREATE_CHILD, object_type=object_type))

    def test_children_of_another_class_are_not_enough(self) -> None:
        assert not has(CREATE, ace(mask=CREATE_CHILD, object_type=USERS))

    def test_an_entry_for_the_class_of_the_object_is_one_for_the_whole_object(self) -> None:
        assert has(READ, ace(mask=READ_PROPERTY, object_type=ORGANIZATIONAL_UNIT))
        assert not has(READ, deny(mask=READ_PROPERTY, object_type=ORGANIZATIONAL_UNIT), ace())
        assert not has(CREATE, ace(mask=CREATE_CHILD, object_type=ORGANIZATIONAL_UNIT))

    def test_a_single_property_is_not_all_of_them(self) -> None:
        assert not has(READ, ace(mask=READ_PROPERTY, object_type=USERS))

    def test_a_prohibition_on_a_single_property_is_none_on_the_whole(self) -> None:
        assert has(READ, deny(mask=READ_PROPERTY, object_type=USERS), ace())

    def test_what_is_there_to_be_inherited_only_has_no_say(self) -> None:
        assert not has(CREATE, ace(inherit_only=True))
        assert has(CREATE, deny(inherit_only=True), ace())

    def test_what_was_inherited_from_above_counts_whatever_it_leaves_below(self) -> None:
        assert has(CREATE, ace(container_inherit=False, no_propagate=True))

    def test_rights_add_up(self) -> None:
        delete = ace(sid=GROUP, mask=DELETE_CHILD, object_type=COMPUTER)
        assert has(BOTH, ace(mask=CREATE_CHILD), delete)
        assert not has(BOTH, ace(mask=CREATE_CHILD))

    @pytest.mark.parametrize(
        ("generic", "right", "granted"),
        [
            (0x10000000, CREATE, True),
            (0x80000000, READ, True),
            (0x80000000, CREATE, False),
            (0x20000000, Right("list", LIST_CONTENTS, ORGANIZATIONAL_UNIT), True),
            (0x20000000, READ, False),
            (0x40000000, PERMISSIONS, True),
            (0x40000000, READ, False),
        ],
    )
    def test_generic_rights_stand_for_others(self, generic: int, right: Right, granted: bool) -> None:
        assert has(right, ace(mask=generic)) is granted


class TestOrder:
    def test_the_first_that_speaks_of_a_right_decides(self) -> None:
        assert not has(CREATE, deny(mask=CREATE_CHILD), ace())
        assert has(CREATE, ace(), deny(mask=CREATE_CHILD))

    def test_a_prohibition_names_its_entry(self) -> None:
        denied = deny(sid=GROUP, mask=CREATE_CHILD, name="CORP\\Helpdesk")
        decision = decide(Descriptor(owner=OTHER, dacl_present=True, dacl=(denied, ace())), SIDS, CREATE)
        assert decision.denied_by == denied
        assert denied.holder == "CORP\\Helpdesk"
        assert deny(sid=GROUP).holder == GROUP

    @pytest.mark.parametrize(
        "denied",
        [
            deny(sid=OTHER),
            deny(mask=DELETE_CHILD),
            deny(mask=CREATE_CHILD, object_type=USERS),
            deny(mask=FULL_CONTROL, inherit_only=True),
        ],
    )
    def test_a_prohibition_of_something_else_is_none(self, denied: Ace) -> None:
        assert has(CREATE, denied, ace())

    def test_half_granted_and_half_denied_is_denied(self) -> None:
        assert not has(BOTH, ace(mask=CREATE_CHILD), deny(mask=DELETE_CHILD), ace(mask=DELETE_CHILD))

    def test_a_prohibition_of_what_was_granted_before_is_late(self) -> None:
        assert has(BOTH, ace(mask=CREATE_CHILD), deny(mask=CREATE_CHILD), ace(mask=DELETE_CHILD))

    def test_permissions_alone_add_up_in_any_order(self) -> None:
        aces = (ace(mask=CREATE_CHILD), ace(mask=DELETE_CHILD, sid=GROUP), ace(sid=OTHER), ace(inherit_only=True))
        assert all(has(BOTH, *order) for order in permutations(aces))


class TestBelow:
    @pytest.mark.parametrize("inherit_only", [True, False])
    @pytest.mark.parametrize("kind", [None, RECOVERY, RECOVERY.upper()])
    def test_what_is_handed_down_to_the_class(self, inherit_only: bool, kind: str | None) -> None:
        assert has(BELOW, ace(inherit_only=inherit_only, inherited_object_type=kind))

    @pytest.mark.parametrize(
        "given",
        [
            ace(container_inherit=False),
            ace(inherited_object_type=COMPUTER),
            ace(no_propagate=True),
            ace(mask=READ_PROPERTY),
            ace(object_type=COMPUTER),
        ],
    )
    def test_what_does_not_reach_it_is_not_enough(self, given: Ace) -> None:
        assert not has(BELOW, given)

    def test_a_prohibition_that_ends_with_the_children_reaches_some(self) -> None:
        assert not has(BELOW, deny(no_propagate=True), ace())

    def test_a_prohibition_for_another_class_reaches_none(self) -> None:
        assert has(BELOW, deny(inherited_object_type=COMPUTER), ace())

    def test_a_prohibition_on_the_object_alone_does_not_go_down(self) -> None:
        assert has(BELOW, deny(container_inherit=False), ace())


class TestOwner:
    def test_an_owner_reads_the_permissions(self) -> None:
        assert has(PERMISSIONS, owner=USER)
        assert has(PERMISSIONS, owner=GROUP)
        assert not has(PERMISSIONS, owner=None)

    def test_an_owner_has_no_other_rights(self) -> None:
        assert not has(READ, owner=USER)

    def test_entries_for_owners_take_the_place_of_that(self) -> None:
        assert not has(PERMISSIONS, ace(sid=OWNER_RIGHTS, mask=READ_PROPERTY), owner=USER)
        assert has(READ, ace(sid=OWNER_RIGHTS, mask=READ_PROPERTY), owner=USER)
        assert not has(READ, ace(sid=OWNER_RIGHTS, mask=READ_PROPERTY))

    def test_owning_the_object_says_nothing_of_what_is_below(self) -> None:
        assert not has(Right("read permissions below", READ_CONTROL, RECOVERY, below=True), owner=USER)


ACES = st.builds(
    ace,
    type=st.sampled_from(["allow", "deny"]),
    sid=st.sampled_from([USER, GROUP, OTHER, "S-1-5-11"]),
    mask=st.sampled_from([CREATE_CHILD, DELETE_CHILD, READ_PROPERTY, FULL_CONTROL, 0x10000000, 0x80000000]),
    object_type=st.sampled_from([None, COMPUTER, USERS]),
    inherited_object_type=st.sampled_from([None, COMPUTER, RECOVERY]),
    inherit_only=st.booleans(),
    container_inherit=st.booleans(),
    no_propagate=st.booleans(),
)
RIGHTS = st.sampled_from([CREATE, BOTH, READ, PERMISSIONS, BELOW])


@given(st.lists(ACES, max_size=5), RIGHTS)
def test_one_more_permission_never_takes_a_right_away(aces: list[Ace], right: Right) -> None:
    if has(right, *aces):
        assert has(right, *aces, ace())
        assert has(right, ace(), *aces)


@given(st.lists(ACES, max_size=5), RIGHTS)
def test_one_more_prohibition_never_gives_a_right(aces: list[Ace], right: Right) -> None:
    if not has(right, *aces):
        assert not has(right, deny(), *aces)
        assert not has(right, *aces, deny())


@given(st.lists(ACES, max_size=5), RIGHTS)
def test_without_a_fitting_permission_there_is_no_right(aces: list[Ace], right: Right) -> None:
    prohibitions = [each for each in aces if each.type == "deny" or each.sid == OTHER]
    assert not has(right, *prohibitions)


class TestReading:
    VALUE: dict[str, Any] = {
        "owner": OTHER,
        "protected": False,
        "dacl_present": True,
        "dacl": [{**msgspec.to_builtins(ace()), "inherited": True}],
    }

    def test_a_descriptor_is_read_with_more_than_is_needed(self) -> None:
        found = descriptor_of(self.VALUE)
        assert found == Descriptor(owner=OTHER, dacl_present=True, dacl=(ace(),))

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "O:DA",
            {**VALUE, "dacl": None},
            {**VALUE, "dacl": [{**msgspec.to_builtins(ace()), "type": "audit"}]},
            {**VALUE, "dacl": [{**msgspec.to_builtins(ace()), "mask": None}]},
            {**VALUE, "dacl": [{**msgspec.to_builtins(ace()), "mask": True}]},
            {**VALUE, "dacl": [{**msgspec.to_builtins(ace()), "inherit_only": None}]},
            {**VALUE, "dacl": [{**msgspec.to_builtins(ace()), "object_type": 1}]},
        ],
    )
    def test_what_nobody_understands_is_none(self, value: Any) -> None:
        assert descriptor_of(value) is None
