// Shows an agent that knows nothing of envelopes: `fetch` and a base URL from its environment, no import.
// Run:   bulla run --config run.json --env-file .env -- node examples/plain-agent.js /orders/1     with API_URL=bulla://<host> in .env
// Prints the status and what the API answered; ends with 1 where it said no.
const response = await fetch(`${process.env.API_URL}${process.argv[2] ?? '/orders/1'}`, {
  method: process.argv[3] ?? 'GET',
});
console.log(response.status, await response.text());
process.exitCode = response.ok ? 0 : 1;
