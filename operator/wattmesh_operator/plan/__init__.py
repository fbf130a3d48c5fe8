"""What shall run for some resources: gateways, their pods, and each household and utility with its configuration."""

from wattmesh_operator.plan.pods import GatewayPlan, Participant, PodPlan, Role, plan, runtime_config

__all__ = ["GatewayPlan", "Participant", "PodPlan", "Role", "plan", "runtime_config"]
