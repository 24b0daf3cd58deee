"""What features do together, beyond shape: composition or ambiguity, logic, interference, mean directions."""

from atlas.behaviour.stage import BEHAVIOUR, behave
from atlas.behaviour.verdicts import VERDICTS, Criteria, verdict

__all__ = ["BEHAVIOUR", "VERDICTS", "Criteria", "behave", "verdict"]
