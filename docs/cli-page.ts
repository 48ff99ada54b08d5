import { type CommandEntry, describeCommands, exitCodes } from 'bulla';

/** docs/cli.md: every command with what it takes, and how it ends. */
export function cliPage(): string {
  const [root, ...commands] = describeCommands();
  return `# The command line

Generated from the command tree in \`cli/\` by \`npm run docs\`. Results go to stdout, everything else to stderr. With \`--json\` stdout
holds one JSON document: the result, or \`{ "error": { "code", "message", "exit" } }\` with \`reason\` and \`hint\` where there are
any. [codes.md](codes.md) lists the codes.

A change is called done only when the command has seen it in a checkpoint of the log that it follows itself.

## Exit codes

| exit | meaning |
| --- | --- |
${Object.values(exitCodes)
  .map(({ exit, meaning }) => row([String(exit), meaning]))
  .join('\n')}

## Options of every command

${root === undefined ? '' : optionTable(root.options)}

## Commands

${commands.map((command) => `- ${link(command)}: ${command.description}`).join('\n')}

${commands
  .filter(({ group }) => !group)
  .map(section)
  .join('\n\n')}
`;
}

function section({ path, usage, description, arguments: taken, options, example }: CommandEntry): string {
  const table = optionTable([
    ...taken.map((argument) => ({
      flags: `<${argument.name}>`,
      description: argument.description,
      required: false,
    })),
    ...options,
  ]);
  return [`### ${path}`, description, `    ${usage}`, table, `Example:\n\n    ${example}`]
    .filter((part) => part !== '')
    .join('\n\n');
}

function optionTable(options: CommandEntry['options']): string {
  if (options.length === 0) return '';
  const rows = options.map(({ flags, description, required, fallback }) =>
    row([`\`${flags}\``, `${description}${required ? ' (required)' : defaultOf(fallback)}`]),
  );
  return ['| argument | meaning |', '| --- | --- |', ...rows].join('\n');
}

function defaultOf(fallback: string | undefined): string {
  return fallback === undefined ? '' : ` (default: \`${fallback}\`)`;
}

function link({ path, group }: CommandEntry): string {
  return group ? `\`${path} …\`` : `[\`${path}\`](#${path.replaceAll(' ', '-')})`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
}
