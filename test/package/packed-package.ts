/**
 * The package as people get it: built and packed into a tarball, outside the repository and without touching its `dist`, and
 * installed by the commands of the README into an empty folder.
 */
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, readSource } from '../rules/source-files.ts'
import { codeBlocksOf } from './code-blocks.ts'
import { run } from './run.ts'

interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly files: readonly string[]
  readonly devDependencies: Readonly<Record<string, string>>
}

export const MANIFEST: Manifest = JSON.parse(readSource('package.json').text)

/** Packs into a folder; returns the path of the tarball. */
export async function pack(folder: string): Promise<string> {
  const staged = join(folder, 'staged')
  mkdirSync(staged, { recursive: true })
  await run(process.execPath, ['scripts/build.ts', '--out', join(staged, 'dist')], { cwd: ROOT })
  for (const file of ['package.json', ...MANIFEST.files.filter((name) => name !== 'dist')]) {
    cpSync(join(ROOT, file), join(staged, file), { recursive: true })
  }
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: staged })
  return join(folder, `millrace-${MANIFEST.version}.tgz`)
}

/** The lines of the README's blocks of commands that begin so. */
export function commandsOfTheReadme(beginning: string): string[] {
  return codeBlocksOf('README.md')
    .filter(({ language }) => language === '')
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => line.startsWith(beginning))
}

/** Does in an empty folder what the README says, with the tarball in the place of the published package. */
export async function install(tarball: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const command of [...commandsOfTheReadme('npm init'), ...commandsOfTheReadme('npm install')]) {
    const here = command.replace(' millrace', ` ${tarball}`).replace(' zod', ` zod@${MANIFEST.devDependencies.zod}`)
    await run('sh', ['-c', here], { cwd: folder })
  }
}
