"""Records: what to run, what came out, and the store that keeps both. The waist of the house."""

from calando.records.measure import Measure
from calando.records.record import Evaluation, Event, RangeRecord, RunOutcome, RunRecord, TestScore
from calando.records.spec import Centre, Lane, OwnTrainingSpec, RunSpec, StrategySpec, StudySpec, WorkloadSpec
from calando.records.store import Store, StoredStudy

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
