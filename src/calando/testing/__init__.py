"""Public conformance kits: check your own schedule, controller, method, task or executor against what all must do.

    from calando.testing import check_controller, check_executor, check_method, check_schedule, check_task

    def test_my_schedule(): check_schedule("my_schedule(end=0.1)")

A kit raises AssertionError with one line that says what does not hold. calando's own tests use the same kits. They need
no test framework: any that turns an AssertionError into a failure will do.
"""

from calando.testing.controllers import check_controller
from calando.testing.executor_trial import ExecutorTrial
from calando.testing.executors import EXECUTOR_CHECKS, check_executor
from calando.testing.methods import METHOD_CHECKS, MethodCase, check_method
from calando.testing.schedules import check_schedule
from calando.testing.tasks import TASK_CHECKS, check_task

__all__ = [
    "EXECUTOR_CHECKS",
    "METHOD_CHECKS",
    "TASK_CHECKS",
    "ExecutorTrial",
    "MethodCase",
    "check_controller",
    "check_executor",
    "check_method",
    "check_schedule",
    "check_task",
]
