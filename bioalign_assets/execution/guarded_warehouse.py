"""The warehouse as runs get it: only if it is theirs, and marked as being worked on."""

import dagster as dg

from bioalign_assets.execution.instance import see_that_it_belongs
from bioalign_assets.execution.killed_runs import hold_run
from bioalign_assets.execution.marks import Part
from bioalign_assets.freshness.look import CODE_TAG
from bioalign_assets.warehouse.resources import Warehouse

__all__ = ["GuardedWarehouse"]


class GuardedWarehouse(Warehouse):
    """The warehouse folder, for the runs of one study in the instance that has its history."""

    study: str
    """As ``BIOALIGN_STUDY`` names it"""
    code: str
    """Hash of the code versions of all assets"""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """See that a run may write here, and mark it as alive for as long as this process lives.

        :raises WarehouseError: if the warehouse belongs to another study, or its history to another instance
        """
        if context.instance is None or context.run is None:
            return
        see_that_it_belongs(self.root, study=self.study, instance=context.instance)
        hold_run(context.instance, context.run.run_id, part=Part.STEP)
        if CODE_TAG not in context.run.tags:
            context.instance.add_run_tags(context.run.run_id, {CODE_TAG: self.code})
