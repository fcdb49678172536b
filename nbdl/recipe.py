"""What recipes are written with: the request that they are given, and the plan that they return."""

from nbdl.plugins.recipe import Plan as Plan
from nbdl.plugins.recipe import Request as Request
from nbdl.plugins.recipe import Settings as Settings
from nbdl.plugins.recipe import Stage as Stage
