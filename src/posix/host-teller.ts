/** Where `npm run addon` puts the program that tells a VMware host of a first boot (tell/src/main.rs says how it ends): any Linux for x86_64 can run it. */
export const HOST_TELLER = new URL('addon/landfall-tell', import.meta.url).pathname
