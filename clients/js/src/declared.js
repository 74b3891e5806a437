/** For tsc alone: the modules are as uploader.d.ts declares them. */

import { Uploader } from "./uploader/client.js";
import { UploadError } from "./uploader/service.js";
import { Uploads } from "./uploader/uploads.js";

/** @import * as Declared from "./uploader.js" */

/** @type {[typeof Declared.Uploader, typeof Declared.UploadError]} */
export const classes = [Uploader, UploadError];
/** @type {typeof Declared.Uploads} */
export const list = Uploads;
