"""Will this Azure Local or Azure Arc deployment succeed, and if not, what exactly must be fixed?

Ten lines that do the main job:

    from azpreflight import Credential, load_site, run

    site = load_site("site.yaml")
    report = run(site, credential=Credential("azl-ops", password))
    print(report.verdict)
    for result in report.results:
        if result.outcome == "fail":
            print(result.rule, result.target, result.message, result.remedy.text)
"""

from azpreflight.api import collect, load_recording, run
from azpreflight.credentials import Credential
from azpreflight.errors import AzpreflightError, InputError
from azpreflight.model import Outcome, Phase, Problem, Profile, Report, Result, Severity, Verdict
from azpreflight.site import load_site

__all__ = [
    "AzpreflightError",
    "Credential",
    "InputError",
    "Outcome",
    "Phase",
    "Problem",
    "Profile",
    "Report",
    "Result",
    "Severity",
    "Verdict",
    "collect",
    "load_recording",
    "load_site",
    "run",
]
