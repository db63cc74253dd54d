"""`vedette doctor`: what keeps this box from doing its work, asked in the order in which a person would look."""

from appliance.doctor.examination import examine
from appliance.doctor.patient import Patient
from appliance.doctor.result import CheckName, Result, State

__all__ = ["CheckName", "Patient", "Result", "State", "examine"]
