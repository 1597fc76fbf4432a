/** W3: the copy exactly once, in transactions committed by a checkpoint each second. */
import { defineJob } from 'millrace'
import { DeliveryGuarantee } from 'millrace/kafka'
import { buildCopy } from './copy.ts'

export default defineJob('w3', async (env, params) => {
  await buildCopy(env, params, { guarantee: DeliveryGuarantee.EXACTLY_ONCE, bounded: true })
})
