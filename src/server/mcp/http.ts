export function mcpHandler(..._: any[]): any {}
