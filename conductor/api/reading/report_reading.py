"""GetReport: returns a settled run's report in the form that the client asks for."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

from conductor.api.messages.findings import severity_word
from conductor.api.messages.json_values import struct
from conductor.api.messages.names import read_report, run_name
from conductor.api.reading.run_reading import RunReading, require_settled
from conductor.core.folded.run import Run
from conductor.errors import InvalidRequestError, NotFoundError, Violation
from conductor.evaluation.evaluator import Evaluator
from conductor.store.folding import reading_damage
from conductor.store.port import Store
from conductor.v1 import run_service_pb2 as pb

MAX_DISMISSED = 20_000
_FORMS = {
    pb.Report.FORMAT_MD: ("md", "text/markdown; charset=utf-8"),
    pb.Report.FORMAT_JSON: ("json", "application/json"),
    pb.Report.FORMAT_HTML: ("html", "text/html; charset=utf-8"),
    pb.Report.FORMAT_SARIF: ("sarif", "application/sarif+json"),
    pb.Report.FORMAT_JUNIT: ("junit", "application/xml"),
}


class ReportReading:
    """Reads reports from the store, and has workers render them."""

    def __init__(self, store: Store, reading: RunReading, evaluator: Evaluator) -> None:
        self._store = store
        self._reading = reading
        self._evaluator = evaluator

    async def report(self, request: pb.GetReportRequest) -> pb.Report:
        """Returns the report."""
        run = read_report(request.name)
        options = _read_options(request)
        folded, _ = await self._reading.folded(run)
        _require_report(folded)
        told = pb.Report(name=f"{run_name(run)}/report")
        if request.format == pb.Report.FORMAT_UNSPECIFIED:
            told.markdown = await self._text(run, folded.markdown)
            told.json.CopyFrom(await self._struct(run, folded.json))
            return told
        form, told.media_type = _FORMS[request.format]
        if await self._is_stored(folded, form, options):
            digest = folded.markdown if form == "md" else folded.json
            told.body = await self._text(run, digest) if digest else "{}"
        else:
            told.body = (await self._evaluator.render(folded, form, options)).decode()
        told.markdown = told.body if form == "md" else ""
        return told

    async def _is_stored(self, run: Run, form: str, options: Mapping[str, Any]) -> bool:
        """Returns whether the stored report is what is asked for: it knows of no dismissals, and a flow's own template stays."""
        if form not in ("md", "json") or not (options["dismissed"] and run.json):
            return form in ("md", "json")
        bundle = json.loads(await self._store.blob(run.id, run.plan.bundle))
        return form == "md" and bool(bundle["flow"].get("report_template"))

    async def _text(self, run: str, digest: str) -> str:
        data = await self._store.blob(run, digest)
        with reading_damage(run, f"blobs, {digest}"):
            return data.decode()

    async def _struct(self, run: str, digest: str) -> Struct:
        if not digest:
            return Struct()
        data = await self._store.blob(run, digest)
        with reading_damage(run, f"blobs, {digest}"):
            return await asyncio.to_thread(struct, data)


def _require_report(run: Run) -> None:
    require_settled(run, "its report is made when it ends")
    if not run.markdown:
        why = run.failure.message if run.failure else "the run ended before its report was made"
        raise NotFoundError("report", f"{run_name(run.id)}/report", hint=why)


def _read_options(request: pb.GetReportRequest) -> dict[str, Any]:
    violations = []
    if request.format not in pb.Report.Format.values():
        violations.append(Violation("format", f"{request.format} is no value of the enumeration"))
    if request.min_severity not in pb.Finding.Severity.values():
        violations.append(Violation("min_severity", f"{request.min_severity} is no value of the enumeration"))
    if len(request.dismissed) > MAX_DISMISSED:
        violations.append(Violation("dismissed", f"are {len(request.dismissed)}; at most {MAX_DISMISSED} are taken"))
    if violations:
        raise InvalidRequestError(*violations)
    is_any = request.min_severity == pb.Finding.SEVERITY_UNSPECIFIED
    return {
        "dismissed": dict(request.dismissed),
        "include_dismissed": request.include_dismissed,
        "min_severity": "" if is_any else severity_word(request.min_severity),
        "verified_only": request.verified_only,
    }
