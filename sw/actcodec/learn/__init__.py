"""Learning: training networks, calibrating sites, choosing transforms and widths, fine-tuning, the plan."""

from __future__ import annotations

from actcodec.learn.flow import learn
from actcodec.learn.plan import Plan, SitePlan, load_plan, plan_sha256, save_plan
from actcodec.learn.recipe import LearnRecipe, load_recipe
from actcodec.learn.train import TrainingRecipe, train_network

__all__ = [
    "LearnRecipe",
    "Plan",
    "SitePlan",
    "TrainingRecipe",
    "learn",
    "load_plan",
    "load_recipe",
    "plan_sha256",
    "save_plan",
    "train_network",
]
