export { parseCommandLine } from './arguments.ts'
