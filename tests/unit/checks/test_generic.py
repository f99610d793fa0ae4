"""The generic checks: what each accepts, what it refuses, and what it makes of an answer without rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azpreflight.checks import agreement, generic
from azpreflight.checks.view import NotApplicable, NotObserved, Row
from azpreflight.facts.observation import Status
from azpreflight.model import Outcome, TargetKind
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

PASS, FAIL, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.ERROR


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Auto", "AUTO", True),
        (1, 1, True),
        (1, True, False),
        (False, 0, False),
        (False, False, True),
        (None, None, True),
        (None, "", False),
        ("1", 1, False),
        (["A", 1], ["a", 1], True),
        (["a", "b"], "a, b", False),
        (["a"], ["a", "b"], False),
        ({"A": 1}, {"A": 1}, True),
    ],
)
def test_same(left: Any, right: Any, expected: bool) -> None:
    assert agreement.same(left, right) is expected


class TestEquals:
    def test_judges_every_property(self) -> None:
        view = view_of({"a.b": [{"State": "Running", "Port": 0}]})
        found = outcomes_of(generic.equals, view, fact="a.b", properties={"State": "running", "Port": 1})
        assert found == {"State": PASS, "Port": FAIL}

    def test_judges_every_selected_row(self) -> None:
        rows = [{"Name": "X", "On": True}, {"Name": "Y", "On": False}, {"Name": "Z", "On": False}]
        view = view_of({"a.b": rows})
        found = outcomes_of(generic.equals, view, fact="a.b", named_by="Name", properties={"On": True})
        assert found == {"X On": PASS, "Y On": FAIL, "Z On": FAIL}
        found = outcomes_of(generic.equals, view, fact="a.b", where={"Name": "x"}, properties={"On": True})
        assert found == {"On": PASS}

    @pytest.mark.parametrize("value", [None, 0, "false", 3])
    def test_does_not_judge_another_type(self, value: Any) -> None:
        view = view_of({"a.b": [{"On": value}]})
        assert outcomes_of(generic.equals, view, fact="a.b", properties={"On": False}) == {"On": ERROR}

    def test_does_not_judge_rows_on_one_thing_that_contradict_each_other(self) -> None:
        view = view_of({"a.b": [{"Name": "X", "On": True}, {"Name": "x", "On": False}, {"Name": "Y", "On": True}]})
        found = outcomes_of(generic.equals, view, fact="a.b", named_by="Name", properties={"On": True})
        assert found == {"X On": ERROR, "Y On": PASS}

    def test_fails_without_a_row(self) -> None:
        view = view_of({"a.b": [{"Name": "X", "On": True}]})
        found = findings_of(generic.equals, view, fact="a.b", where={"Name": "Y"}, properties={"On": True})
        assert [finding.message for finding in found.values()] == ["there is no a.b with Name Y"]
        assert [finding.outcome for finding in found.values()] == [FAIL]

    def test_lets_a_missing_fact_rise(self) -> None:
        with pytest.raises(NotObserved):
            outcomes_of(generic.equals, view_of({"a.b": Status.REFUSED}), fact="a.b", properties={"On": True})

    def test_wants_a_property(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            outcomes_of(generic.equals, view_of({"a.b": []}), fact="a.b", properties={})


class TestAtLeast:
    @pytest.mark.parametrize(
        ("value", "expected"), [(30, PASS), (29.5, FAIL), (0, FAIL), (None, ERROR), (True, ERROR), ("40", ERROR)]
    )
    def test_compares_numbers_only(self, value: Any, expected: Outcome) -> None:
        view = view_of({"a.b": [{"Size": value}]})
        assert outcomes_of(generic.at_least, view, fact="a.b", property="Size", minimum=30) == {"Size": expected}

    def test_does_not_judge_an_answer_without_a_row(self) -> None:
        assert outcomes_of(generic.at_least, view_of({"a.b": []}), fact="a.b", property="Size", minimum=30) == {
            "a.b": ERROR
        }


class TestOneOf:
    @pytest.mark.parametrize(
        ("value", "expected"), [("auto", PASS), ("Manual", FAIL), (2, PASS), (3, FAIL), (None, ERROR), (True, ERROR)]
    )
    def test_knows_texts_and_numbers(self, value: Any, expected: Outcome) -> None:
        view = view_of({"a.b": [{"Mode": value}]})
        assert outcomes_of(generic.one_of, view, fact="a.b", property="Mode", values=["Auto", 2]) == {"Mode": expected}

    def test_does_not_judge_an_answer_without_a_row(self) -> None:
        assert outcomes_of(generic.one_of, view_of({"a.b": []}), fact="a.b", property="Mode", values=[1]) == {
            "a.b": ERROR
        }


class TestSameOnAllNodes:
    PARAMETERS = {"fact": "a.b", "properties": ["Model"]}

    def test_passes_whatever_the_order_of_rows(self) -> None:
        rows = [{"Model": "A"}, {"Model": "B"}]
        view = view_of(nodes={"N1": {"a.b": rows}, "N2": {"a.b": rows[::-1]}}, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"Model": PASS}

    def test_names_who_has_what(self) -> None:
        nodes = {"N1": {"a.b": [{"Model": "A"}]}, "N2": {"a.b": [{"Model": "B"}, {"Model": "B"}]}}
        found = findings_of(generic.same_on_all_nodes, view_of(nodes=nodes, kind=TargetKind.CLUSTER), **self.PARAMETERS)
        assert found["Model"].outcome is FAIL
        assert found["Model"].message == 'Model differs: "a" on N1; "b", "b" on N2'

    def test_judges_the_rest_when_a_node_is_silent(self) -> None:
        nodes: dict[str, Any] = {"N1": {"a.b": [{"Model": "A"}]}, "N2": {"a.b": Status.UNREACHABLE}}
        view = view_of(nodes=nodes, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"N2": ERROR, "Model": PASS}

    def test_says_nothing_of_the_property_when_all_are_silent(self) -> None:
        view = view_of({"a.b": Status.UNREACHABLE}, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"N1": ERROR, "N2": ERROR}

    @pytest.mark.parametrize(
        ("left", "right"), [(1, "1"), (["a", "b"], "a, b"), (True, 1), (True, "true"), ("a, b", ["a, b"])]
    )
    def test_tells_types_apart(self, left: Any, right: Any) -> None:
        nodes: dict[str, Any] = {"N1": {"a.b": [{"Model": left}]}, "N2": {"a.b": [{"Model": right}]}}
        view = view_of(nodes=nodes, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"Model": FAIL}

    def test_does_not_tell_letter_case_apart(self) -> None:
        nodes: dict[str, Any] = {"N1": {"a.b": [{"Model": ["A"]}]}, "N2": {"a.b": [{"Model": ["a"]}]}}
        view = view_of(nodes=nodes, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"Model": PASS}

    def test_does_not_judge_a_node_without_a_row(self) -> None:
        nodes: dict[str, Any] = {"N1": {"a.b": []}, "N2": {"a.b": [{"Model": "A"}]}}
        view = view_of(nodes=nodes, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"N1": ERROR, "Model": PASS}
        view = view_of({"a.b": []}, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"N1": ERROR, "N2": ERROR}

    def test_does_not_judge_a_null(self) -> None:
        view = view_of({"a.b": [{"Model": None}]}, kind=TargetKind.CLUSTER)
        assert outcomes_of(generic.same_on_all_nodes, view, **self.PARAMETERS) == {"N1 Model": ERROR, "N2 Model": ERROR}

    def test_does_not_concern_one_node(self) -> None:
        site = site_of(nodes=[{"name": "N1", "address": "192.0.2.11"}])
        with pytest.raises(NotApplicable):
            outcomes_of(generic.same_on_all_nodes, view_of(site=site, kind=TargetKind.CLUSTER), **self.PARAMETERS)


class TestServiceRunning:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ({"State": "Running", "StartMode": "Auto"}, {"WinRM": PASS, "WinRM start mode": PASS}),
            ({"State": "Stopped", "StartMode": "Auto"}, {"WinRM": FAIL, "WinRM start mode": PASS}),
            ({"State": "Running", "StartMode": "Disabled"}, {"WinRM": PASS, "WinRM start mode": FAIL}),
        ],
    )
    def test_judges_state_and_start_mode(self, row: dict[str, str], expected: dict[str, Outcome]) -> None:
        view = view_of({"services.state": [{"Name": "winrm", **row}]})
        assert outcomes_of(generic.service_running, view, name="WinRM") == expected

    def test_fails_where_the_service_is_not_installed(self) -> None:
        view = view_of({"services.state": [{"Name": "WinRM", "State": "Running", "StartMode": "Auto"}]})
        assert outcomes_of(generic.service_running, view, name="himds") == {"himds": FAIL}

    def test_does_not_judge_a_node_that_tells_no_service(self) -> None:
        assert outcomes_of(generic.service_running, view_of({"services.state": []}), name="himds") == {"himds": ERROR}

    @pytest.mark.parametrize("state", [None, "Unknown", True, 4])
    def test_does_not_judge_a_state_that_nobody_knows(self, state: Any) -> None:
        view = view_of({"services.state": [{"Name": "WinRM", "State": state, "StartMode": None}]})
        found = outcomes_of(generic.service_running, view, name="WinRM")
        assert found == {"WinRM": ERROR, "WinRM start mode": ERROR}

    def test_does_not_judge_rows_that_contradict_each_other(self) -> None:
        rows = [{"Name": "WinRM", "State": state, "StartMode": "Auto"} for state in ("Running", "Stopped")]
        found = outcomes_of(generic.service_running, view_of({"services.state": rows}), name="WinRM")
        assert found == {"WinRM": ERROR, "WinRM start mode": PASS}

    def test_accepts_what_the_rule_accepts(self) -> None:
        view = view_of({"services.state": [{"Name": "WinRM", "State": "Running", "StartMode": "Manual"}]})
        found = outcomes_of(generic.service_running, view, name="WinRM", start_modes=["Auto", "Manual"])
        assert found == {"WinRM": PASS, "WinRM start mode": PASS}


class TestRegistryValue:
    FACT = {
        "a.b": {"exists": True, "keys": {"Sub": {"Level": {"type": "REG_DWORD", "data": 0}}, "": {}}},
    }
    PARAMETERS = {"fact": "a.b", "key": "sub", "name": "LEVEL"}

    @pytest.mark.parametrize(("expected", "outcome"), [([0], PASS), ([1, 2], FAIL), ([1, 0], PASS)])
    def test_zero_is_a_value(self, expected: list[int], outcome: Outcome) -> None:
        view = view_of(self.FACT)
        found = outcomes_of(generic.registry_value, view, **self.PARAMETERS, expected=expected, absent="fail")
        assert found == {"sub\\LEVEL": outcome}

    @pytest.mark.parametrize(("absent", "outcome"), [("pass", PASS), ("fail", FAIL), ("unknown", ERROR)])
    @pytest.mark.parametrize("fact", [{"exists": False, "keys": {}}, {"exists": True, "keys": {"": {}}}])
    def test_absence_means_what_the_rule_says(self, fact: Any, absent: str, outcome: Outcome) -> None:
        view = view_of({"a.b": fact})
        found = outcomes_of(generic.registry_value, view, fact="a.b", name="Level", expected=[1], absent=absent)
        assert found == {"Level": outcome}

    @pytest.mark.parametrize("data", [None, "0", [0]])
    def test_another_type_is_not_judged(self, data: Any) -> None:
        view = view_of({"a.b": {"exists": True, "keys": {"": {"Level": {"type": "REG_SZ", "data": data}}}}})
        found = outcomes_of(generic.registry_value, view, fact="a.b", name="Level", expected=[0], absent="pass")
        assert found == {"Level": ERROR}


class TestAgreement:
    @pytest.mark.parametrize(
        ("values", "kind", "expected"),
        [
            ([1, 1], int, 1),
            ([0], int, 0),
            ([1, 2], int, None),
            ([True], int, None),
            ([True, 1], bool, None),
            (["1"], int, None),
            ([None], str, None),
            ([], str, None),
            (["Up", "UP"], str, "Up"),
        ],
    )
    def test_only_rows_that_agree_on_a_value_of_the_type_tell_it(self, values: Any, kind: Any, expected: Any) -> None:
        rows = [Row("a.b", "N1", {"X": value}) for value in values]
        assert agreement.told(rows, "X", kind) == expected

    def test_a_property_that_is_absent_is_not_observed(self) -> None:
        with pytest.raises(NotObserved, match="no property Y"):
            agreement.told([Row("a.b", "N1", {"X": 1})], "Y", int)

    def test_a_row_without_a_name_may_be_about_anything(self) -> None:
        view = view_of({"services.state": [{"Name": None, "State": "Stopped", "StartMode": "Auto"}]})
        with pytest.raises(NotObserved, match="without a name"):
            outcomes_of(generic.service_running, view, name="WinRM")
