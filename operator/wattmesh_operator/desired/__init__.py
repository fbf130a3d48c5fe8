"""What shall be in the cluster: every manifest a pure function of a plan, its keys and the operator's settings."""
