"""Controllers: what the rate should be in answer to what training does."""

from calando.controllers.base import Action, Controller, Observation, State, Wants
from calando.controllers.divergence import Divergence
from calando.controllers.edge import Edge
from calando.controllers.plateau import Plateau
from calando.controllers.rollback import Rollback

__all__ = ["Action", "Controller", "Divergence", "Edge", "Observation", "Plateau", "Rollback", "State", "Wants"]
