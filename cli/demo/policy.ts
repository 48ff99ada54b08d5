/** Buyers place orders for their own team; a program acting for them only up to 500. */
export const policyText = `
@id("own-team-orders")
@reason("buyers may read and place orders of their team")
permit (
  principal in Group::"buyers",
  action in [Action::"order.read", Action::"order.create"],
  resource
)
when { principal has team && principal.team == resource.team };

@id("agent-amount")
@reason("an agent may place orders of at most 500")
forbid (principal, action == Action::"order.create", resource)
when { context has agent }
unless { context.amount <= 500 };
`;

export const schemaText = `
entity Group;
entity User in [Group] { team?: String };
entity Order { team: String };
type Agent = { id: String, kind: String, registeredBy: String };
action "order.read" appliesTo { principal: User, resource: Order };
action "order.create" appliesTo { principal: User, resource: Order, context: { agent?: Agent, amount: Long } };
`;
