"""The executor of runs that Dagster launches: marked as alive, and light ones in a process of their own alone."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from bioalign_assets.dagster_private import InProcessExecutor
from bioalign_assets.execution.killed_runs import hold_run

__all__ = ["marked_executor"]


class _Marked(dg.Executor):
    """An executor that marks each run as alive for as long as the process that conducts it lives."""

    def __init__(self, executor: dg.Executor, *, is_light: Callable[[str], bool]) -> None:
        self._executor = executor
        self._is_light = is_light

    @property
    def retries(self) -> Any:
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        hold_run(plan_context.instance, plan_context.run_id)
        executor = self._executor
        if all(self._is_light(step) for step in execution_plan.step_keys_to_execute):
            executor = InProcessExecutor(self.retries, self.step_dependency_config)
        yield from executor.execute(plan_context, execution_plan)


def marked_executor(
    executor: dg.ExecutorDefinition, *, is_light: Callable[[str], bool]
) -> dg.ExecutorDefinition:
    """Return an executor that does the same, and whose runs ``mend_killed_runs`` knows to live.

    :param is_light: says of a step's name whether it may run in the conductor's process; a run of such steps
        alone does, and is spared a process for each (a table has up to a dozen checks, each a step)
    """

    def create(context: dg.InitExecutorContext) -> _Marked:
        assert executor.executor_creation_fn is not None  # noqa: S101 - only Dagster's abstract ones have none
        return _Marked(executor.executor_creation_fn(context), is_light=is_light)

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=executor.config_schema,  # type: ignore[arg-type] # the converted form is taken as well
        requirements=executor.get_requirements,
        executor_creation_fn=create,
        description=executor.description,
    )
