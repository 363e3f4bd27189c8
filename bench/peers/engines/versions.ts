import { readFileSync } from 'node:fs';

/** `name version` of an installed peer. */
export function versionOf(name: string): string {
  const path = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(path, 'utf8')).version}`;
}
