/**
 * Most of a start is compiling, and for a job in TypeScript loading what takes its types away. Both are kept for the next start, and for
 * worker threads: beside the installed packages, where only who may change their code may write. Where that is not
 * writable, every start is a first one. NODE_COMPILE_CACHE names another folder, NODE_DISABLE_COMPILE_CACHE=1 turns it off.
 */
import { enableCompileCache } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export function keepCompiledCode(): void {
  const packageRoot = dirname(fileURLToPath(new URL('../../package.json', import.meta.url)))
  const packages = dirname(packageRoot)
  const isInstalled = basename(packages) === 'node_modules'
  // In the environment, because threads find it nowhere else.
  process.env.NODE_COMPILE_CACHE ??= isInstalled
    ? join(packages, '.cache/millrace')
    : join(packageRoot, '.cache/compile')
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
}
