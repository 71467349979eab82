"""Records: what to run, what came out, and the store that keeps both."""

from calando.records.measure import Measure
from calando.records.record import Evaluation, Event, RangeRecord, RunOutcome, RunRecord, TestScore
from calando.records.spec import Centre, Lane, RunSpec, StudySpec
from calando.records.store import Store, StoredStudy
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import OwnTrainingSpec, WorkloadSpec

__all__ = [
    "Centre",
    "Evaluation",
    "Event",
    "Lane",
    "Measure",
    "OwnTrainingSpec",
    "RangeRecord",
    "RunOutcome",
    "RunRecord",
    "RunSpec",
    "Store",
    "StoredStudy",
    "StrategySpec",
    "StudySpec",
    "TestScore",
    "WorkloadSpec",
]
