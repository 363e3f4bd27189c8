const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** An amount as people read it: `12,345`. */
export function amount(value: number): string {
  return number.format(value);
}

/** Things per second. */
export function rate(count: number, seconds: number): string {
  return `${amount(count / seconds)}/s`;
}

/** Writes a line. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes one figure, and beside it what proves it. */
export function line(name: string, figure: string, beside = ''): void {
  print(`  ${name.padEnd(52)} ${figure.padStart(14)}   ${beside}`.trimEnd());
}
