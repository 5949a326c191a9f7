"""How much is simulated, by the environment: the variables are taken out of it, for workers refuse ``INM_*`` that they do not know."""

import os

SEEDS = int(os.environ.pop("INM_SIMULATION_SEEDS", "500"))
"""How many."""
FIRST = int(os.environ.pop("INM_SIMULATION_FIRST", "0"))
"""From which on."""
SEED = int(os.environ["INM_SIMULATION_SEED"]) if os.environ.get("INM_SIMULATION_SEED") else None
"""This one alone, with its trace on the screen."""
os.environ.pop("INM_SIMULATION_SEED", None)
