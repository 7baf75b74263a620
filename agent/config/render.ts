/**
 * Shows a configuration as YAML in our own schema, with every default; reading that text gives the
 * same again.
 *
 * @module
 */
import { stringify } from "yaml";
import type { Config, UnitChoice } from "./config.ts";

/** The effective configuration. It holds paths of secrets, never a secret. */
export function render(config: Config): string {
  const { listen, units, ...rest } = config;
  const { events, access, metrics, ...plain } = rest;
  const shown = {
    listen: addressText(listen),
    ...plain,
    metrics,
    events,
    access,
    probes: Object.fromEntries(
      Object.entries(units).map(([name, choice]) => [name, shownChoice(choice)]),
    ),
  };
  return stringify(shown, { aliasDuplicateObjects: false, lineWidth: 0 });
}

/** `127.0.0.1:9102`, `[::1]:9102` */
export function addressText({ hostname, port }: Config["listen"]): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function shownChoice({ metrics, events, parameters }: UnitChoice) {
  return { metrics, events, ...parameters };
}
