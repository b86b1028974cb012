// The types of the admin API are the ones that the document gives; a Rust test holds the document to the server.
import { readFileSync } from 'node:fs';
import openapiTS, { COMMENT_HEADER, astToString } from 'openapi-typescript';
import prettier from 'prettier';
import { expect, it } from 'vitest';

it('schema.d.ts is what openapi.json gives; `npm run types` makes it', async () => {
  const made =
    COMMENT_HEADER +
    astToString(await openapiTS(new URL('../openapi.json', import.meta.url), { defaultNonNullable: false }));
  const options = await prettier.resolveConfig('src/lib/api/schema.d.ts');
  const wanted = await prettier.format(made, { ...options, parser: 'typescript' });
  expect(readFileSync('src/lib/api/schema.d.ts', 'utf8') === wanted).toBe(true);
});
