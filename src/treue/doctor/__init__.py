"""What `treue doctor` looks at, a module for each thing, and what it found."""

from treue.doctor.examination import CHECKS, examine
from treue.doctor.findings import Finding, Grade

__all__ = ["CHECKS", "Finding", "Grade", "examine"]
