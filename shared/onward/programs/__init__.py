"""What users write against: agents, tools, approvals, applications. Meets the engine only in `onward.core`."""
