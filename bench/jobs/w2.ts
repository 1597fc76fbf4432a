/** W2: the copy at least once, with a checkpoint each second. */
import { defineJob } from 'millrace'
import { DeliveryGuarantee } from 'millrace/kafka'
import { buildCopy } from './copy.ts'

export default defineJob('w2', async (env, params) => {
  await buildCopy(env, params, { guarantee: DeliveryGuarantee.AT_LEAST_ONCE, bounded: true })
})
