// Unpacks the browser that comes compressed in the package. It goes into the folder for temporary files, which
// the caller has set to the one that it wants.
import chromium from "@sparticuz/chromium";

await chromium.executablePath();
