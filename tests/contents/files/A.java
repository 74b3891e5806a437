public class A {
  public static void main(String[] a) { System.out.print("a"); }
}
