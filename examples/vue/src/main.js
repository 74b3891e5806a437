import { createApp } from "vue";
import Pictures from "./Pictures.vue";

createApp(Pictures).mount("#app");
